package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

func TestNothingIsTracedUnlessTheEnvironmentAsksForIt(t *testing.T) {
	for _, c := range []struct {
		name        string
		environment map[string]string
		asked, bad  bool
	}{
		{"nothing", nil, false, false},
		{"no exporter", map[string]string{"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false, false},
		{"disabled", map[string]string{"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, false, false},
		{"an endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, true, false},
		{"an endpoint for traces", map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, true, false},
		{"over gRPC", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, true, false},
		{"an exporter", map[string]string{"OTEL_TRACES_EXPORTER": "otlp"}, true, false},
		{"an unknown exporter", map[string]string{"OTEL_TRACES_EXPORTER": "telegraph"}, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
				t.Setenv(name, c.environment[name])
			}
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", c.environment["OTEL_EXPORTER_OTLP_PROTOCOL"])
			traces, err := NewTraces(t.Context(), "v1", slog.New(slog.DiscardHandler))
			if (err != nil) != c.bad || (traces != nil) != c.asked {
				t.Fatalf("traces %v, error %v", traces, err)
			}
			if c.bad {
				return
			}
			base := &http.Transport{}
			around := traces.Transport(base, func(*http.Request) string { return "call" })
			if (traces.Tracer() != nil) != c.asked || (around != http.RoundTripper(base)) != c.asked {
				t.Errorf("tracer %v, transport %T", traces.Tracer(), around)
			}
			if err := traces.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// away is a collector that fails for as long as it says.
type away struct {
	sdk.SpanExporter
	err error
}

func (a *away) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return a.err }

func TestACollectorThatIsAwayIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	collector := &away{err: errors.New("connection refused")}
	r := &reported{SpanExporter: collector, log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 3 {
		if err := r.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	collector.err = nil
	for range 3 {
		if err := r.ExportSpans(t.Context(), nil); err != nil {
			t.Error(err)
		}
	}
	if got := out.String(); strings.Count(got, "\n") != 2 || !strings.Contains(got, "cannot be exported") || !strings.Contains(got, "exported again") {
		t.Errorf("the log: %s", got)
	}
}

func TestATraceContextIsPassedOn(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	provider := sdk.NewTracerProvider()
	_, child := provider.Tracer("test").Start(Remote(parent, "k=v"), "child")
	got, state := Carried(child)
	if !strings.HasPrefix(got, parent[:36]) || got == parent || state != "k=v" || TraceID(got) != parent[3:35] {
		t.Errorf("carried %q, %q", got, state)
	}
	for _, wrong := range []string{"", "00", "ann@example.test ann@example.test ann@example.test", parent[:3] + strings.Repeat("0", 32) + parent[35:], strings.Repeat("x", 100)} {
		_, alone := provider.Tracer("test").Start(Remote(wrong, ""), "alone")
		if id := alone.SpanContext().TraceID().String(); id == parent[3:35] || strings.Trim(id, "0") == "" {
			t.Errorf("%q leads to trace %s", wrong, id)
		}
		if id := TraceID(wrong); strings.Contains(id, "@") || strings.Contains(id, "x") {
			t.Errorf("%q has the trace id %q", wrong, id)
		}
	}
}
