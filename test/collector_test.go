package test

import (
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// traced is an OTLP collector on loopback, and what a process exports to it.
type traced struct {
	t      *testing.T
	server *httptest.Server
	traces *telemetry.Traces

	mu       sync.Mutex
	spans    []span
	resource map[string]string
}

// span is one as it was exported.
type span struct {
	name, kind, trace, id, parent string
	attributes                    map[string]string
	events                        []string
	status                        otlp.Status_StatusCode
}

// trace makes the bridges of a world export their spans, as the environment tells them to. The test must not be parallel.
func (w *world) trace(environment ...string) *traced {
	w.t.Helper()
	c := &traced{t: w.t, resource: map[string]string{}}
	c.server = httptest.NewServer(http.HandlerFunc(c.collect))
	w.t.Cleanup(c.server.Close)
	w.t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", c.server.URL)
	for i := 0; i+1 < len(environment); i += 2 {
		w.t.Setenv(environment[i], environment[i+1])
	}
	var err error
	if c.traces, err = telemetry.NewTraces(w.t.Context(), "v1.2.3", slog.New(slog.NewTextHandler(w.t.Output(), nil))); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.flush)
	w.how = append(w.how, bridge.WithTraces(c.traces))
	return c
}

func (c *traced) collect(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(r.Body)
		if err != nil {
			c.t.Error(err)
			return
		}
		body = unpacked
	}
	data, err := io.ReadAll(body)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(data, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("export to %s: %v", r.URL.Path, err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range request.GetResourceSpans() {
		c.resource = texts(r.GetResource().GetAttributes())
		for _, s := range r.GetScopeSpans() {
			for _, one := range s.GetSpans() {
				c.spans = append(c.spans, read(one))
			}
		}
	}
}

func read(s *otlp.Span) span {
	r := span{
		name: s.GetName(), kind: strings.TrimPrefix(s.GetKind().String(), "SPAN_KIND_"), trace: hex.EncodeToString(s.GetTraceId()), id: hex.EncodeToString(s.GetSpanId()),
		parent: hex.EncodeToString(s.GetParentSpanId()), attributes: texts(s.GetAttributes()), status: s.GetStatus().GetCode(),
	}
	r.attributes["status message"] = s.GetStatus().GetMessage()
	for _, e := range s.GetEvents() {
		r.events = append(r.events, e.GetName())
		for key, value := range texts(e.GetAttributes()) {
			r.attributes["event "+e.GetName()+" "+key] = value
		}
	}
	return r
}

func texts(all []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range all {
		switch v := a.GetValue().GetValue().(type) {
		case *common.AnyValue_StringValue:
			m[a.GetKey()] = v.StringValue
		case *common.AnyValue_IntValue:
			m[a.GetKey()] = fmt.Sprint(v.IntValue)
		default:
			m[a.GetKey()] = a.GetValue().String()
		}
	}
	return m
}

// flush waits until all spans that have ended are here, and ends tracing.
func (c *traced) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.traces.Shutdown(ctx); err != nil {
		c.t.Error(err)
	}
}

// all returns the spans of a trace, or of all traces.
func (c *traced) all(trace string) (found []span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if trace == "" || s.trace == trace {
			found = append(found, s)
		}
	}
	return found
}

// one returns the span of a trace with a name, and wants there to be one.
func (c *traced) one(trace, name string) span {
	c.t.Helper()
	all := slices.DeleteFunc(c.all(trace), func(s span) bool { return s.name != name })
	if len(all) != 1 {
		c.t.Fatalf("%d spans %q in trace %s: %v", len(all), name, trace, c.all(trace))
	}
	return all[0]
}

// context is the W3C trace context that a span hands on.
func (s span) context() string { return "00-" + s.trace + "-" + s.id + "-01" }

// says wants attributes of a span.
func (s span) says(t *testing.T, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if s.attributes[key] != value {
			t.Errorf("%s: %s is %q; want %q", s.name, key, s.attributes[key], value)
		}
	}
}
