package webhook

import (
	"context"
	"net/http"
	"strconv"
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

// The keys of spans for which there is no convention.
const (
	keyOutcome = attribute.Key("cxbridge.outcome") // stored, repeated, spooled or refused
	keyReason  = attribute.Key("cxbridge.reason")
)

// route stands for the path of a webhook, which ends with a secret.
const route = Path + "{token}"

// visit is a request that is traced; nil while nothing is. Who must not send is never traced, so that strangers cannot fill a collector.
type visit struct {
	tracer trace.Tracer
	ctx    context.Context // of span
	span   trace.Span
}

// visit begins to trace a request that passed admission.
func (r *Receiver) visit(req *http.Request, start time.Time) *visit {
	if r.tracer == nil {
		return nil
	}
	scheme := "http"
	if req.TLS != nil {
		scheme = "https"
	}
	from := telemetry.Remote(first(req.Header["Traceparent"]), strings.Join(req.Header["Tracestate"], ","))
	ctx, span := r.tracer.Start(from, "POST "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(start))
	if span.IsRecording() {
		span.SetAttributes(semconv.HTTPRequestMethodPost, semconv.HTTPRoute(route), semconv.URLPath(Path+"REDACTED"), semconv.URLScheme(scheme),
			semconv.NetworkProtocolVersion(strings.TrimPrefix(req.Proto, "HTTP/")), semconv.HTTPRequestBodySize(int(req.ContentLength)))
	}
	return &visit{tracer: r.tracer, ctx: ctx, span: span}
}

// end ends the span with the answer; no problem is the answer 200.
func (v *visit) end(p *problem) {
	if v == nil {
		return
	}
	defer v.span.End()
	if !v.span.IsRecording() {
		return
	}
	status := http.StatusOK
	if p != nil {
		status = p.status
		v.span.SetAttributes(keyReason.String(string(p.reason)))
	}
	v.span.SetAttributes(semconv.HTTPResponseStatusCode(status))
	if status >= http.StatusInternalServerError {
		v.span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		v.span.SetStatus(codes.Error, p.detail)
	}
}

// publish begins the span of storing a message, which whoever gets the message goes on from.
func (v *visit) publish(l *letter) trace.Span {
	if v == nil {
		return nil
	}
	_, span := v.tracer.Start(v.ctx, "publish "+destination(l.msg.Subject), trace.WithSpanKind(trace.SpanKindProducer))
	describe(span, &l.msg)
	if parent, state := telemetry.Carried(span); parent != "" {
		l.add(subjects.HeaderTraceparent, parent)
		delete(l.msg.Header, subjects.HeaderTracestate)
		l.add(subjects.HeaderTracestate, state)
	}
	return span
}

// drain begins the span of the way of a message out of the spool. The message keeps the context that it was received with.
func (r *Receiver) drain(msg *nats.Msg) trace.Span {
	if r.tracer == nil {
		return nil
	}
	from := telemetry.Remote(msg.Header.Get(subjects.HeaderTraceparent), msg.Header.Get(subjects.HeaderTracestate))
	_, span := r.tracer.Start(from, "drain "+destination(msg.Subject), trace.WithSpanKind(trace.SpanKindProducer))
	describe(span, msg)
	return span
}

// published ends the span of storing a message.
func published(span trace.Span, came outcome, err error) {
	if span == nil {
		return
	}
	defer span.End()
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(keyOutcome.String(came.String()))
	if err != nil {
		span.SetAttributes(semconv.ErrorTypeKey.String(string(subjects.ReasonUnavailable)))
		span.SetStatus(codes.Error, err.Error())
	}
}

// describe tells which message a span is about.
func describe(span trace.Span, msg *nats.Msg) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(semconv.MessagingSystemKey.String("nats"), semconv.MessagingOperationName("publish"), semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(msg.Subject), semconv.MessagingMessageID(msg.Header.Get(subjects.HeaderMsgID)),
		semconv.MessagingMessageBodySize(len(msg.Data)))
	if id := msg.Header.Get(subjects.HeaderConversationID); id != "" {
		span.SetAttributes(semconv.MessagingMessageConversationID(id))
	}
}

// destination is a subject without what differs from event to event, the keys of a keyed one.
func destination(subject string) string {
	const plain = 4
	tokens := strings.SplitN(subject, ".", plain+1)
	if len(tokens) > plain {
		return strings.Join(tokens[:plain], ".") + ".{inbox}.{conversation}"
	}
	return subject
}
