package webhook

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are counted without looking anything up on the way of an event.
type metrics struct {
	answers   map[int]prometheus.Counter
	events    map[string]prometheus.Counter // by name, of known names
	others    prometheus.Counter
	direct    prometheus.Counter
	repeated  prometheus.Counter
	spooled   prometheus.Counter
	drained   prometheus.Counter
	aside     prometheus.Counter
	repeats   prometheus.Counter
	malformed prometheus.Counter
	unsigned  prometheus.Counter
	loops     prometheus.Counter
	panics    prometheus.Counter
	inFlight  prometheus.Gauge
	seconds   prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, names []string, conns func() float64) (*metrics, error) {
	if registry == nil {
		registry = prometheus.NewRegistry()
	}
	f := factory{to: registry}
	m := &metrics{answers: make(map[int]prometheus.Counter), events: make(map[string]prometheus.Counter)}
	requests := f.vec("requests_total", "Requests to the webhook listener by status of the answer.", "code")
	for _, code := range []int{200, 400, 401, 403, 404, 405, 408, 413, 429, 500} {
		m.answers[code] = requests.WithLabelValues(strconv.Itoa(code))
	}
	events := f.vec("events_total", "Webhook events that were taken by the vendor's name.", "event")
	for _, name := range names {
		m.events[name] = events.WithLabelValues(name)
	}
	m.others = events.WithLabelValues("other")
	stored := f.vec("stored_total", "Messages stored by where: bus, bus_again (it was there already), spool.", "where")
	m.direct, m.repeated, m.spooled = stored.WithLabelValues("bus"), stored.WithLabelValues("bus_again"), stored.WithLabelValues("spool")
	m.drained = f.counter("drained_total", "Messages taken out of the spool.")
	m.aside = f.counter("aside_total", "Messages of the spool that the bus will never take, kept in files.")
	m.repeats = f.counter("publish_repeats_total", "Attempts to publish that were repeated.")
	m.malformed = f.counter("malformed_total", "Bodies that were no JSON object with an event name.")
	m.unsigned = f.counter("signature_failures_total", "Requests whose signature was missing, wrong or too old.")
	m.loops = f.counter("loop_marked_total", "Events marked because bots talked without a customer.")
	m.panics = f.counter("panics_total", "Requests that ended in a panic.")
	m.inFlight = f.gauge("in_flight", "Requests that are worked on.")
	m.seconds = f.histogram("seconds", "Time from the first byte of a body to the answer 200.")
	f.reading("webhook", "connections", "Open connections to the webhook listener.", conns)
	return m, f.err
}

// watchSpool exports how full the spool is.
func watchSpool(registry prometheus.Registerer, s Spool) error {
	if registry == nil || s == nil {
		return nil
	}
	f := factory{to: registry}
	f.reading("spool", "messages", "Messages in the spool.", func() float64 { return float64(s.Stats().Messages) })
	f.reading("spool", "bytes", "Bytes that the messages in the spool take.", func() float64 { return float64(s.Stats().Bytes) })
	f.reading("spool", "oldest_seconds", "Age of the oldest message in the spool; 0 without one.", func() float64 {
		oldest := s.Stats().Oldest
		if oldest.IsZero() {
			return 0
		}
		return time.Since(oldest).Seconds()
	})
	return f.err
}

// factory makes metrics and keeps the first error.
type factory struct {
	to  prometheus.Registerer
	err error
}

func (f *factory) register(c prometheus.Collector) {
	if err := f.to.Register(c); err != nil && f.err == nil {
		f.err = err
	}
}

func (f *factory) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "cxbridge", Subsystem: "webhook", Name: name, Help: help})
	f.register(c)
	return c
}

func (f *factory) vec(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "cxbridge", Subsystem: "webhook", Name: name, Help: help}, []string{label})
	f.register(c)
	return c
}

func (f *factory) reading(subsystem, name, help string, read func() float64) {
	f.register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "cxbridge", Subsystem: subsystem, Name: name, Help: help}, read))
}

func (f *factory) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "cxbridge", Subsystem: "webhook", Name: name, Help: help})
	f.register(g)
	return g
}

func (f *factory) histogram(name, help string) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: "cxbridge", Subsystem: "webhook", Name: name, Help: help, Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5},
	})
	f.register(h)
	return h
}

func (m *metrics) stored(again bool) {
	if again {
		m.repeated.Inc()
		return
	}
	m.direct.Inc()
}

func (m *metrics) answered(code int) { m.answers[code].Inc() }

func (m *metrics) taken(name string, since time.Time) {
	m.answered(http.StatusOK)
	m.seconds.Observe(time.Since(since).Seconds())
	if c, ok := m.events[name]; ok {
		c.Inc()
		return
	}
	m.others.Inc()
}
