package telemetry

import (
	"log/slog"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry that knows the process, the Go runtime and the build; version is the value of cxbridge_build_info.
func NewRegistry(version string) *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "cxbridge_build_info", Help: "Always 1; the label tells the build.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return r
}

// Handler serves the metrics of a registry in the formats of Prometheus and OpenMetrics. What cannot be gathered is left out and logged.
func Handler(r *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError), ErrorHandling: promhttp.ContinueOnError,
		Registry: r, EnableOpenMetrics: true,
	})
}

// advice stands in a help text between what a metric means and what to do about it.
const advice = " To do: "

// Text tells what a metric means and, if there is anything, what to do about it. Both are the help text of the metric, and the table of all metrics
// in docs is made of them.
type Text struct{ Means, Do string }

// SplitHelp returns the text that a help text was made of.
func SplitHelp(help string) Text {
	means, do, _ := strings.Cut(help, advice)
	return Text{means, do}
}

func (t Text) help() string {
	if t.Do == "" {
		return t.Means
	}
	return t.Means + advice + t.Do
}

// Metrics makes the instruments of one component and registers them. The first error stays, see [Metrics.Err].
type Metrics struct {
	to  prometheus.Registerer
	err error
}

// NewMetrics returns metrics that are registered with to; nil is for nobody who would read them.
func NewMetrics(to prometheus.Registerer) *Metrics { return &Metrics{to: to} }

// Err returns why an instrument could not be registered.
func (m *Metrics) Err() error { return m.err }

func (m *Metrics) register(c prometheus.Collector) {
	if m.to == nil {
		return
	}
	if err := m.to.Register(c); err != nil && m.err == nil {
		m.err = err
	}
}

// Counter makes a counter.
func (m *Metrics) Counter(name string, text Text) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: text.help()})
	m.register(c)
	return c
}

// Counters makes counters that labels tell apart. Whoever uses them makes each one up front.
func (m *Metrics) Counters(name string, text Text, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: text.help()}, labels)
	m.register(c)
	return c
}

// Gauge makes a gauge.
func (m *Metrics) Gauge(name string, text Text) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: text.help()})
	m.register(g)
	return g
}

// Histogram makes a histogram.
func (m *Metrics) Histogram(name string, text Text, buckets []float64) prometheus.Histogram {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: text.help(), Buckets: buckets})
	m.register(h)
	return h
}

// Histograms makes histograms that labels tell apart. Whoever uses them makes each one up front.
func (m *Metrics) Histograms(name string, text Text, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: text.help(), Buckets: buckets}, labels)
	m.register(h)
	return h
}

// Reading is a metric that is read when somebody asks.
type Reading struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

// NewReading returns one that goes up and down.
func NewReading(name string, text Text, labels ...string) *Reading {
	return &Reading{prometheus.NewDesc(name, text.help(), labels, nil), prometheus.GaugeValue}
}

// NewCount returns one that only goes up.
func NewCount(name string, text Text, labels ...string) *Reading {
	return &Reading{prometheus.NewDesc(name, text.help(), labels, nil), prometheus.CounterValue}
}

// Emit takes the value that a reading has now.
type Emit func(of *Reading, value float64, labels ...string)

// Read registers readings that one function reads, at each scrape once. It must not block; what it does not emit is not there.
func (m *Metrics) Read(read func(Emit), all ...*Reading) { m.register(&readings{read, all}) }

type readings struct {
	read func(Emit)
	all  []*Reading
}

// Describe is part of prometheus.Collector.
func (r *readings) Describe(to chan<- *prometheus.Desc) {
	for _, one := range r.all {
		to <- one.desc
	}
}

// Collect is part of prometheus.Collector.
func (r *readings) Collect(to chan<- prometheus.Metric) {
	r.read(func(of *Reading, value float64, labels ...string) {
		metric, err := prometheus.NewConstMetric(of.desc, of.kind, value, labels...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(of.desc, err)
		}
		to <- metric
	})
}

// Truth is 1 for true and 0 for false.
func Truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
