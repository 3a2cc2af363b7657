package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// scope names the spans' instrumentation.
const scope = "github.com/cxbridge/cxbridge"

// Traces makes spans and hands them to what collects them. The nil pointer is the bridge that traces nothing: its methods may be called, and cost
// nothing.
type Traces struct{ provider *sdk.TracerProvider }

// NewTraces begins to trace as the standard OTEL_ variables of the environment say, and returns nil if they do not ask for traces: then nothing is
// made, and nobody is called. They ask by OTEL_TRACES_EXPORTER (otlp, console; none does not) or by OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, unless OTEL_SDK_DISABLED is true. Protocol, headers, sampler, batches and limits are those variables', too.
//
// A value that does not exist is an error. What cannot be exported is dropped and told to log, once until it can be again.
func NewTraces(ctx context.Context, version string, log *slog.Logger) (*Traces, error) {
	if !tracesAskedFor() {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, fmt.Errorf("traces: OTEL_TRACES_EXPORTER: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName("cxbridge"), semconv.ServiceVersion(version)),
		resource.WithTelemetrySDK(), resource.WithHost(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return &Traces{provider: sdk.NewTracerProvider(sdk.WithResource(about), sdk.WithBatcher(&reported{SpanExporter: exporter, log: log}))}, nil
}

// tracesAskedFor reports whether the environment asks for traces. The standard would export to a collector on this host by default; this process
// calls nobody whom it was not told about.
func tracesAskedFor() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	switch os.Getenv("OTEL_TRACES_EXPORTER") {
	case "none":
		return false
	case "":
		return os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
	}
	return true
}

// Tracer makes spans; nil if nothing is traced.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(scope)
}

// Transport returns a transport that makes a client span of each request and sends its context along, or base itself if nothing is traced. name
// gives the span of a request its name, which must not hold what differs from request to request.
func (t *Traces) Transport(base *http.Transport, name func(*http.Request) string) http.RoundTripper {
	if t == nil {
		return base
	}
	return &tracedTransport{base: base, Transport: otelhttp.NewTransport(base,
		otelhttp.WithTracerProvider(t.provider), otelhttp.WithMeterProvider(noop.NewMeterProvider()), otelhttp.WithPropagators(propagation.TraceContext{}),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return name(r) }))}
}

// tracedTransport can close the idle connections of what it is wrapped around.
type tracedTransport struct {
	*otelhttp.Transport
	base *http.Transport
}

func (t *tracedTransport) CloseIdleConnections() { t.base.CloseIdleConnections() }

// Shutdown exports the spans that have ended, within ctx, and ends tracing.
func (t *Traces) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("traces: %w", err)
	}
	return nil
}

// reported tells when spans cannot be exported, and when they can again.
type reported struct {
	sdk.SpanExporter
	log     *slog.Logger
	failing atomic.Bool
}

// ExportSpans returns no error: the SDK would hand it to a logger of its own.
func (r *reported) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	err := r.SpanExporter.ExportSpans(ctx, spans)
	switch {
	case err != nil && !r.failing.Swap(true):
		r.log.Warn("traces cannot be exported, and are dropped", "error", err)
	case err == nil && r.failing.Swap(false):
		r.log.Info("traces are exported again")
	}
	return nil
}
