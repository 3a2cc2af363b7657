package command

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/subjects"
)

// The keys of spans and their events for which there is no convention.
const (
	keyStatus   = attribute.Key("cxbridge.status")
	keyReason   = attribute.Key("cxbridge.reason")
	keyAttempts = attribute.Key("cxbridge.attempts")
	keyPause    = attribute.Key("cxbridge.pause_seconds")
	keyEpoch    = attribute.Key("cxbridge.epoch")
)

// story is the span of a command while this bridge has it; nil while nothing is traced. The calls of the API are its children, by the context of calls.
type story struct {
	tracer trace.Tracer
	ctx    context.Context // of span
	span   trace.Span
	waits  bool // it was told that the command waits for its turn at the API
}

// story begins the span of a job whose turn has come, as a child of the span of whoever published the command. It began when the command came here.
func (s *shift) story(j *job) *story {
	if s.tracer == nil {
		return nil
	}
	from := telemetry.Remote(j.parcel.Header().Get(subjects.HeaderTraceparent), j.parcel.Header().Get(subjects.HeaderTracestate))
	ctx, span := s.tracer.Start(from, "process "+s.names.Command(j.kind), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(j.arrived()))
	if span.IsRecording() {
		span.SetAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess,
			semconv.MessagingDestinationName(j.parcel.Subject()), semconv.MessagingMessageID(j.id), semconv.MessagingMessageBodySize(j.parcel.size()),
			semconv.MessagingConsumerGroupName(consumerName(s.epochNumber)), keyEpoch.Int64(int64(s.epochNumber)))
		if id := j.command.ConversationID().String(); id != "" {
			span.SetAttributes(semconv.MessagingMessageConversationID(id))
		}
		span.AddEvent("turn in its lane")
	}
	return &story{tracer: s.tracer, ctx: ctx, span: span}
}

// tell adds an event.
func (s *story) tell(what string) {
	if s != nil {
		s.span.AddEvent(what)
	}
}

// waiting adds an event when the command has to wait for its turn at the API, and when that has come.
func (s *story) waiting(waits bool) {
	if s == nil || s.waits == waits {
		return
	}
	s.waits = waits
	if waits {
		s.span.AddEvent("wait for a turn at the API")
		return
	}
	s.span.AddEvent("turn at the API")
}

// again adds an event for an attempt that is to be repeated.
func (s *story) again(reason subjects.Reason, attempts int, pause time.Duration) {
	if s != nil && s.span.IsRecording() {
		s.span.AddEvent("retry", trace.WithAttributes(keyReason.String(string(reason)), keyAttempts.Int(attempts), keyPause.Float64(pause.Seconds())))
	}
}

// call returns the context of an API call, whose span is a child.
func (s *story) call(ctx context.Context) context.Context {
	if s == nil {
		return ctx
	}
	return trace.ContextWithSpan(ctx, s.span)
}

// publish begins the span of publishing a result, from which whoever gets it goes on.
func (s *story) publish(m *nats.Msg) trace.Span {
	if s == nil {
		return nil
	}
	kind := m.Subject[:strings.LastIndexByte(m.Subject, '.')+1] // all but the command's id
	_, span := s.tracer.Start(s.ctx, "publish "+kind+"{command}", trace.WithSpanKind(trace.SpanKindProducer))
	if span.IsRecording() {
		span.SetAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
			semconv.MessagingDestinationName(m.Subject), semconv.MessagingMessageID(m.Header.Get(subjects.HeaderCEID)), semconv.MessagingMessageBodySize(len(m.Data)))
	}
	carry(span, m)
	return span
}

// reply lets a reply carry the context of the command.
func (s *story) reply(m *nats.Msg) {
	if s != nil && m != nil {
		carry(s.span, m)
	}
}

func carry(span trace.Span, m *nats.Msg) {
	parent, state := telemetry.Carried(span)
	m.Header.Del(subjects.HeaderTracestate)
	m.Header.Set(subjects.HeaderTraceparent, parent)
	if state != "" {
		m.Header.Set(subjects.HeaderTracestate, state)
	}
}

// published ends the span of publishing a result.
func published(span trace.Span, err error) {
	if span == nil {
		return
	}
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(subjects.ReasonUnavailable)))
		span.SetStatus(codes.Error, "the bus did not take it")
	}
	span.End()
}

// end ends the span with the result of the command.
func (s *story) end(r *subjects.Result) {
	if s == nil {
		return
	}
	if s.span.IsRecording() {
		s.span.SetAttributes(keyStatus.String(string(r.Status)), keyReason.String(string(r.Reason)), keyAttempts.Int(r.Attempts))
		if r.Status != subjects.StatusDone && r.Status != subjects.StatusExpired {
			s.span.SetAttributes(semconv.ErrorTypeKey.String(string(r.Reason)))
			s.span.SetStatus(codes.Error, string(r.Status))
		}
	}
	s.span.End()
}

// leave ends the span of a command that this bridge gives up, as its term is over: whoever is active next goes on with it.
func (s *story) leave() {
	if s != nil {
		s.span.AddEvent("left to the next term")
		s.span.End()
	}
}

// traceID is that of the command's trace; empty without one.
func (j *job) traceID() string {
	if j.story != nil {
		return j.story.span.SpanContext().TraceID().String()
	}
	return telemetry.TraceID(j.parcel.Header().Get(subjects.HeaderTraceparent))
}

// tell logs the one line of a command that has ended: never anything of its content.
func (j *job) tell(r *subjects.Result) {
	level, ctx := slog.LevelInfo, context.Background()
	if r.Status != subjects.StatusDone && r.Status != subjects.StatusExpired {
		level = slog.LevelWarn
	}
	if !j.shift.log.Enabled(ctx, level) {
		return
	}
	j.shift.log.LogAttrs(ctx, level, "command", slog.String("command_id", r.CommandID), slog.String("command", string(r.Command)),
		slog.String("conversation", r.ConversationID.String()), slog.String("status", string(r.Status)), slog.String("reason", string(r.Reason)),
		slog.Int("attempts", r.Attempts), slog.Duration("duration", time.Since(j.arrived())), slog.String("trace_id", j.traceID()))
}
