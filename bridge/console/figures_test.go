package console

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestFiguresAreMadeOfTwoMoments(t *testing.T) {
	r := prometheus.NewRegistry()
	events := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cxbridge_events_total"}, []string{"outcome"})
	commands := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "cxbridge_commands_total"}, []string{"status"})
	seconds := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "cxbridge_webhook_receipt_seconds", Buckets: []float64{0.01, 0.1, 1}})
	held := prometheus.NewGauge(prometheus.GaugeOpts{Name: "cxbridge_commands_held"})
	r.MustRegister(events, commands, seconds, held)
	h, now := newHistory(r), time.Now()
	events.WithLabelValues("stored").Add(100)
	seconds.Observe(0.5)
	if p, err := h.take(now); p != nil || err != nil {
		t.Fatalf("the first moment = %v, %v", p, err)
	}
	events.WithLabelValues("stored").Add(10)
	events.WithLabelValues("spooled").Add(5)
	events.WithLabelValues("refused").Add(50)
	commands.WithLabelValues("done").Add(20)
	commands.WithLabelValues("refused").Inc()
	held.Set(7)
	for range 99 {
		seconds.Observe(0.005)
	}
	seconds.Observe(5)
	p, err := h.take(now.Add(5 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"events": 3, "done": 4, "not_done": 0.2, "held": 7, "receipt_p50": 5.05, "receipt_p99": 10} {
		if got, found := p.Values[key]; !found || got != want {
			t.Errorf("%s = %v, want %v", key, got, want)
		}
	}
	for _, key := range []string{"spooled", "calls", "call_p99"} {
		if got, found := p.Values[key]; found {
			t.Errorf("%s = %v without a metric", key, got)
		}
	}
	p, err = h.take(now.Add(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if _, found := p.Values["receipt_p99"]; found || p.Values["events"] != 0 {
		t.Errorf("when nothing happened: %v", p.Values)
	}
	for i := range 3 * keptPoints {
		if _, err := h.take(now.Add(time.Duration(i+3) * 5 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(h.all()); n != keptPoints {
		t.Errorf("%d points are kept", n)
	}
}

func TestQuantilesAboveTheLastBoundAreThatBound(t *testing.T) {
	now := map[float64]uint64{0.1: 0, 1: 0}
	if got := quantileOf(0.99, nil, now, 4); got != 1 {
		t.Errorf("p99 = %v", got)
	}
}

func TestPickedIsAnEvenSampleWithTheLast(t *testing.T) {
	if got := picked(5, 7); !slices.Equal(got, []uint64{5, 6, 7}) {
		t.Errorf("few = %v", got)
	}
	if got := picked(1, 0); got != nil {
		t.Errorf("none = %v", got)
	}
	many := picked(1, 100_000)
	if len(many) != mostRows || many[mostRows-1] != 100_000 || many[0] != 5_000 || !slices.IsSorted(many) {
		t.Errorf("many = %v", many)
	}
}
