package console

import (
	"maps"
	"math"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// figureKind says what is made of a metric.
type figureKind int

const (
	perSecond figureKind = iota // of a counter: a second
	level                       // of a gauge
	quantile                    // of a histogram: milliseconds
)

// figure is what a chart shows, and the metric that it is made of.
type figure struct {
	key, metric string
	kind        figureKind
	at          float64 // which quantile
	label       string  // that decides what counts; empty for none
	counts      func(value string) bool
}

// figures are those of the charts in page/charts.js.
func figures() []figure {
	const (
		commands, calls, status = "cxbridge_commands_total", "cxbridge_api_calls_total", "status"
		receipt, call           = "cxbridge_webhook_receipt_seconds", "cxbridge_api_call_seconds"
	)
	is := func(wanted string) func(string) bool { return func(value string) bool { return value == wanted } }
	not := func(f func(string) bool) func(string) bool { return func(value string) bool { return !f(value) } }
	answered := func(code string) bool { return strings.HasPrefix(code, "2") }
	return []figure{
		{key: "events", metric: "cxbridge_events_total", kind: perSecond, label: "outcome", counts: not(is("refused"))},
		{key: "receipt_p50", metric: receipt, kind: quantile, at: 0.5},
		{key: "receipt_p99", metric: receipt, kind: quantile, at: 0.99},
		{key: "done", metric: commands, kind: perSecond, label: status, counts: is("done")},
		{key: "not_done", metric: commands, kind: perSecond, label: status, counts: not(is("done"))},
		{key: "calls", metric: calls, kind: perSecond, label: status, counts: answered},
		{key: "calls_failed", metric: calls, kind: perSecond, label: status, counts: not(answered)},
		{key: "call_p50", metric: call, kind: quantile, at: 0.5},
		{key: "call_p99", metric: call, kind: quantile, at: 0.99},
		{key: "held", metric: "cxbridge_commands_held", kind: level},
		{key: "waiting", metric: "cxbridge_commands_waiting", kind: level},
		{key: "spooled", metric: "cxbridge_spool_messages", kind: level},
	}
}

// MetricNames returns the names of the metrics that the charts are made of.
func MetricNames() []string {
	names := map[string]bool{}
	for _, f := range figures() {
		names[f.metric] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// about reports whether a label set counts for a figure.
func (f figure) about(labels []*dto.LabelPair) bool {
	if f.label == "" {
		return true
	}
	for _, l := range labels {
		if l.GetName() == f.label {
			return f.counts(l.GetValue())
		}
	}
	return false
}

// value sets what a figure was between two moments. Without the metric, and for a quantile of nothing, there is none.
func (f figure) value(into map[string]float64, before, now sums, seconds float64) {
	after, found := now.values[f.key]
	if !found {
		return
	}
	change := after - before.values[f.key]
	switch f.kind {
	case perSecond:
		into[f.key] = rounded(max(change, 0) / seconds)
	case level:
		into[f.key] = after
	case quantile:
		if seconds := quantileOf(f.at, before.buckets[f.key], now.buckets[f.key], change); !math.IsNaN(seconds) {
			into[f.key] = rounded(1000 * seconds)
		}
	}
}

// quantileOf estimates a quantile of what was observed between two moments, as PromQL does: evenly within a bucket, and the bound of the last
// one for what is above all. It is NaN of nothing.
func quantileOf(q float64, before, now map[float64]uint64, count float64) float64 {
	if count <= 0 {
		return math.NaN()
	}
	rank, low, below := q*count, 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(now)) {
		upTo := float64(now[bound]) - float64(before[bound])
		switch {
		case math.IsInf(bound, 1):
			return low
		case upTo >= rank && upTo > below:
			return low + (bound-low)*(rank-below)/(upTo-below)
		}
		low, below = bound, upTo
	}
	return low
}

// rounded keeps three digits or so, which is what a chart can show.
func rounded(v float64) float64 {
	if v == 0 || math.Abs(v) >= 1000 {
		return math.Round(v)
	}
	scale := math.Pow(10, 2-math.Floor(math.Log10(math.Abs(v))))
	return math.Round(v*scale) / scale
}
