package command

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/subjects"
)

type metrics struct {
	commands *prometheus.CounterVec
	duration *prometheus.HistogramVec
	calls    *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	faults   prometheus.Counter
	terms    prometheus.Counter
}

func newMetrics(register prometheus.Registerer, r *Runner) (*metrics, error) {
	buckets := prometheus.ExponentialBucketsRange(0.001, 300, 18)
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cxbridge_commands_total", Help: "Commands that ended, by status and reason.",
		}, []string{"command", "status", "reason"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cxbridge_command_seconds", Help: "Time from the arrival of a command at the bridge to its acknowledgement.", Buckets: buckets,
		}, []string{"command"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "cxbridge_api_calls_total", Help: "API calls, by what came of them.",
		}, []string{"operation", "failure"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "cxbridge_api_call_seconds", Help: "Duration of API calls.", Buckets: buckets,
		}, []string{"operation"}),
		faults: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cxbridge_command_faults_total", Help: "Failed requests to the bus on behalf of commands; each is repeated.",
		}),
		terms: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "cxbridge_command_terms_total", Help: "How often this bridge became the active one.",
		}),
	}
	for _, c := range append(gauges(r), m.commands, m.duration, m.calls, m.latency, m.faults, m.terms) {
		if err := register.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// gauges tell the runner's status.
func gauges(r *Runner) []prometheus.Collector {
	gauge := func(name, help string, value func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(r.Status()) })
	}
	return []prometheus.Collector{
		gauge("cxbridge_commands_active", "1 while this bridge carries out commands.", func(s Status) float64 { return number(s.Active) }),
		gauge("cxbridge_commands_held", "Commands held in memory.", func(s Status) float64 { return float64(s.Held) }),
		gauge("cxbridge_commands_running", "Commands that are being worked on right now.", func(s Status) float64 { return float64(s.Running) }),
		gauge("cxbridge_command_lanes", "Conversations and contacts with commands.", func(s Status) float64 { return float64(s.Lanes) }),
		gauge("cxbridge_commands_paused", "1 while commands are paused.", func(s Status) float64 { return number(s.Paused) }),
		gauge("cxbridge_circuit_open", "1 while the circuit breaker is not closed.", func(s Status) float64 { return number(s.Breaker != "closed") }),
		gauge("cxbridge_oldest_lane_seconds", "Age of the command that blocks its lane the longest.", func(s Status) float64 {
			if s.OldestSince.IsZero() {
				return 0
			}
			return time.Since(s.OldestSince).Seconds()
		}),
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// label keeps what somebody made up out of the metrics.
func label(k subjects.Kind) string {
	if k.Known() {
		return string(k)
	}
	return "unknown"
}

func (m *metrics) settled(j *job) {
	r := j.stands.Result
	m.commands.WithLabelValues(label(r.Command), string(r.Status), string(r.Reason)).Inc()
	m.duration.WithLabelValues(label(r.Command)).Observe(time.Since(j.begun).Seconds())
}

func (m *metrics) called(o Operation, f Failure, took time.Duration) {
	m.calls.WithLabelValues(string(o), string(f)).Inc()
	m.latency.WithLabelValues(string(o)).Observe(took.Seconds())
}
