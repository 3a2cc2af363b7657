package bridge

import (
	"net/http"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

// WithTraces makes spans of webhooks, commands and calls of the API. They are shut down by whoever made them, after the bridge has stopped.
func WithTraces(t *telemetry.Traces) Option { return func(b *Bridge) { b.traces = t } }

// callName names the span of an API call. The addresses of the vendor's API hold no ids.
func callName(r *http.Request) string { return r.Method + " " + r.URL.Path }
