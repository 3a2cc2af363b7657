package telemetry

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// The names of the W3C trace context in the headers of messages.
const (
	traceparent = "traceparent"
	tracestate  = "tracestate"
)

// Remote returns a context in which spans are children of the span that a W3C trace context names. One that is empty or malformed names none, so
// that they begin a trace of their own.
func Remote(parent, state string) context.Context {
	if parent == "" {
		return context.Background()
	}
	return propagation.TraceContext{}.Extract(context.Background(), pair{&parent, &state})
}

// Carried returns the W3C trace context that makes what receives it a child of the span; empty if the span is of no trace.
func Carried(span trace.Span) (parent, state string) {
	propagation.TraceContext{}.Inject(trace.ContextWithSpan(context.Background(), span), pair{&parent, &state})
	return parent, state
}

// TraceID is what a W3C trace context has in common with all others of its trace; empty if it is malformed.
func TraceID(parent string) string {
	const begin, end = len("00-"), len("00-") + 32
	if len(parent) < end || strings.Trim(parent[begin:end], "0123456789abcdef") != "" {
		return ""
	}
	return parent[begin:end]
}

// pair carries a trace context in two texts.
type pair struct{ parent, state *string }

func (p pair) Get(name string) string {
	switch name {
	case traceparent:
		return *p.parent
	case tracestate:
		return *p.state
	}
	return ""
}

func (p pair) Set(name, value string) {
	switch name {
	case traceparent:
		*p.parent = value
	case tracestate:
		*p.state = value
	}
}

func (pair) Keys() []string { return []string{traceparent, tracestate} }
