package webhook

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetricsTellWhatHappened(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	disk := newMemorySpool(10)
	h := setup(t, func(c *Config, d *Deps) {
		d.Registerer, d.Spool = registry, disk
		c.MaxBotTurns = 1
	})
	for _, body := range []string{incoming, incoming, `{"event":"odd_event"}`, "not json", botSays(1, 1), botSays(1, 2)} {
		h.post(body)
	}
	h.send("POST", Path+"wrong", incoming)
	h.bus.set(away)
	h.post(conversation)
	want := map[string]float64{
		"cxbridge_webhook_requests_total 200": 6, "cxbridge_webhook_requests_total 400": 1, "cxbridge_webhook_requests_total 401": 1,
		"cxbridge_events_total message_created customer stored": 1, "cxbridge_events_total message_created customer repeated": 1,
		"cxbridge_events_total message_created bot stored": 2, "cxbridge_events_total conversation_created none spooled": 1,
		"cxbridge_events_total other none stored": 1, "cxbridge_events_total other none refused": 0,
		"cxbridge_webhook_malformed_total": 1, "cxbridge_loop_marked_events_total": 1,
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}
