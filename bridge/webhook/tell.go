package webhook

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/subjects"
)

// tell logs the one line of an event that is stored, at debug: never anything of its content. It costs nothing while nobody listens.
func (r *Receiver) tell(msg *nats.Msg, start time.Time) {
	ctx := context.Background()
	if !r.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r.log.LogAttrs(ctx, slog.LevelDebug, "webhook",
		slog.String("event_id", msg.Header.Get(subjects.HeaderMsgID)), slog.String("event", msg.Header.Get(subjects.HeaderEvent)),
		slog.String("conversation", msg.Header.Get(subjects.HeaderConversationID)), slog.String("subject", msg.Subject),
		slog.Int("status", http.StatusOK), slog.String("reason", ""), slog.Duration("duration", time.Since(start)),
		slog.String("trace_id", telemetry.TraceID(msg.Header.Get(subjects.HeaderTraceparent))))
}

// tellRefused logs the one line of a request that was not answered 200: as a warning if the sender may send, else at debug, as anybody can cause it.
func (r *Receiver) tellRefused(p *problem, level slog.Level, in http.Header, start time.Time) {
	ctx := context.Background()
	if !r.log.Enabled(ctx, level) {
		return
	}
	r.log.LogAttrs(ctx, level, "webhook refused", slog.Int("status", p.status), slog.String("reason", string(p.reason)),
		slog.Duration("duration", time.Since(start)), slog.String("trace_id", telemetry.TraceID(first(in["Traceparent"]))))
}
