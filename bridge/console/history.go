package console

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// keptPoints is how many points are kept: ten minutes of them.
const keptPoints = int(10 * time.Minute / figureEvery)

// point is what was measured between two moments.
type point struct {
	At     int64              `json:"at"` // milliseconds since 1970, of the second moment
	Values map[string]float64 `json:"values"`
}

// history keeps the figures of the last minutes.
type history struct {
	metrics prometheus.Gatherer
	figures []figure
	before  sums
	at      time.Time

	mu     sync.Mutex
	points []*point
}

func newHistory(metrics prometheus.Gatherer) *history {
	return &history{metrics: metrics, figures: figures()}
}

// take gathers and returns the point since the last time; nil the first time. With an error, what could be gathered counts.
func (h *history) take(now time.Time) (*point, error) {
	families, err := h.metrics.Gather()
	sum := sums{values: map[string]float64{}, buckets: map[string]map[float64]uint64{}}
	for _, family := range families {
		for _, f := range h.figures {
			if family.GetName() == f.metric {
				sum.add(f, family.GetMetric())
			}
		}
	}
	before, since := h.before, now.Sub(h.at).Seconds()
	h.before, h.at = sum, now
	if before.values == nil || since <= 0 {
		return nil, err
	}
	p := &point{At: now.UnixMilli(), Values: map[string]float64{}}
	for _, f := range h.figures {
		f.value(p.Values, before, sum, since)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.points = append(h.points, p)
	if left := len(h.points) - keptPoints; left > 0 {
		h.points = append([]*point(nil), h.points[left:]...)
	}
	return p, err
}

// all returns the points that are kept, the oldest first.
func (h *history) all() []*point {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*point{}, h.points...) // never null in JSON
}

// sums are the counts of one moment, by the key of the figure.
type sums struct {
	values  map[string]float64
	buckets map[string]map[float64]uint64 // upper bound to the count of all up to it
}

// add sums up the label sets that a figure is about.
func (s sums) add(f figure, metrics []*dto.Metric) {
	for _, m := range metrics {
		if !f.about(m.GetLabel()) {
			continue
		}
		switch f.kind {
		case perSecond:
			s.values[f.key] += m.GetCounter().GetValue()
		case level:
			s.values[f.key] += m.GetGauge().GetValue()
		case quantile:
			s.values[f.key] += float64(m.GetHistogram().GetSampleCount())
			if s.buckets[f.key] == nil {
				s.buckets[f.key] = map[float64]uint64{}
			}
			for _, b := range m.GetHistogram().GetBucket() {
				s.buckets[f.key][b.GetUpperBound()] += b.GetCumulativeCount()
			}
		}
	}
	if _, found := s.values[f.key]; !found {
		s.values[f.key] = 0 // the metric is there, without any label set so far
	}
}
