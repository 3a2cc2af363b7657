package command

import (
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/subjects"
)

// ending is how a command ends, as far as it is counted.
type ending struct {
	kind   subjects.Kind
	status subjects.Status
	reason subjects.Reason
}

// answer is what an API call was answered with, as far as it is counted.
type answer struct {
	operation Operation
	status    string
}

// How the doubt about a call that may have been carried out ended.
const (
	doubtEcho   = "echo"   // an event showed that it was
	doubtParked = "parked" // the command ended as unknown
	doubtResent = "resent" // it was made again
)

// times are the histograms of a kind of command.
type times struct{ first, result, attempts prometheus.Observer }

// metrics are counted without making a label on the way of a command.
type metrics struct {
	endings  *prometheus.CounterVec
	commands map[ending]prometheus.Counter
	times    map[subjects.Kind]times
	calls    map[answer]prometheus.Counter
	failures map[Failure]prometheus.Counter
	latency  map[Operation]prometheus.Observer
	doubts   map[string]prometheus.Counter
	repeats  prometheus.Counter
	faults   prometheus.Counter
	terms    prometheus.Counter
	panics   prometheus.Counter
	backlog  atomic.Pointer[backlog] // nil: not known
}

var (
	longBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200}
	callBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
)

func newMetrics(register prometheus.Registerer, r *Runner) (*metrics, error) {
	f := telemetry.NewMetrics(register)
	m := &metrics{}
	m.countCommands(f)
	m.timeCommands(f)
	m.countCalls(f)
	m.countRest(f)
	readStatus(f, r)
	readGate(f, r)
	readBacklog(f, m)
	if err := f.Err(); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return m, nil
}

// unknownKind stands for all kinds that somebody made up.
const unknownKind subjects.Kind = "unknown"

// reasonsOf are the reasons with which a command of a status can end.
func reasonsOf(s subjects.Status) []subjects.Reason {
	switch s {
	case subjects.StatusDone:
		return []subjects.Reason{subjects.ReasonNone}
	case subjects.StatusInvalid:
		return []subjects.Reason{subjects.ReasonMalformed, subjects.ReasonTenantMismatch}
	case subjects.StatusExpired:
		return []subjects.Reason{subjects.ReasonExpired}
	case subjects.StatusUnknown:
		return []subjects.Reason{subjects.ReasonOutcomeUnknown}
	}
	var causes []subjects.Reason
	for _, reason := range subjects.Reasons() {
		switch reason {
		case subjects.ReasonNone, subjects.ReasonTenantMismatch, subjects.ReasonExpired, subjects.ReasonOutcomeUnknown:
		default:
			causes = append(causes, reason)
		}
	}
	return causes
}

func (m *metrics) countCommands(f *telemetry.Metrics) {
	vec := f.Counters("cxbridge_commands_total", telemetry.Text{
		Means: "Commands that ended, by kind (unknown: one that does not exist), status and reason, the words of the results.",
		Do:    "invalid: correct the bot. refused and exhausted: the reason says what the API did. unknown: see whether the conversation has the message, then cxbridge dead replay or drop.",
	}, "command", "status", "reason")
	m.endings, m.commands = vec, make(map[ending]prometheus.Counter)
	for _, kind := range append(subjects.Kinds(), unknownKind) {
		for _, status := range subjects.Statuses() {
			for _, reason := range reasonsOf(status) {
				if kind != unknownKind || status == subjects.StatusInvalid {
					m.commands[ending{kind, status, reason}] = vec.WithLabelValues(string(kind), string(status), string(reason))
				}
			}
		}
	}
}

func (m *metrics) timeCommands(f *telemetry.Metrics) {
	first := f.Histograms("cxbridge_command_first_call_seconds", telemetry.Text{
		Means: "Time from the storing of a command on the bus until its first API call begins.",
		Do:    "If it grows: is the rate too low (cxbridge_api_calls_waiting), the circuit open, or a conversation blocked?",
	}, longBuckets, "command")
	result := f.Histograms("cxbridge_command_result_seconds", telemetry.Text{Means: "Time from the storing of a command on the bus until its result is there."}, longBuckets, "command")
	attempts := f.Histograms("cxbridge_command_attempts", telemetry.Text{
		Means: "API calls that a command took until it ended.", Do: "More than a few: see cxbridge_api_calls_total for what the API answers.",
	}, []float64{0, 1, 2, 3, 5, 10, 20, 50}, "command")
	m.times = make(map[subjects.Kind]times)
	for _, kind := range subjects.Kinds() {
		k := string(kind)
		m.times[kind] = times{first.WithLabelValues(k), result.WithLabelValues(k), attempts.WithLabelValues(k)}
	}
}

// answerCodes are the statuses of answers that are counted one by one. Others are counted by their class.
var answerCodes = []int{200, 201, 202, 204, 400, 401, 403, 404, 408, 409, 422, 425, 429, 500, 502, 503, 504}

func (m *metrics) countCalls(f *telemetry.Metrics) {
	calls := f.Counters("cxbridge_api_calls_total", telemetry.Text{
		Means: "API calls for commands, by operation and status of the answer; none is no answer.",
		Do:    "401: renew the token. 429: lower cx.rate_per_second. 5xx and none: is the vendor down?",
	}, "operation", "status")
	latency := f.Histograms("cxbridge_api_call_seconds", telemetry.Text{Means: "Duration of API calls for commands."}, callBuckets, "operation")
	failures := f.Counters("cxbridge_api_call_failures_total", telemetry.Text{
		Means: "API calls that failed, by what the failure means for the command.", Do: "docs and README tell what happens after each.",
	}, "failure")
	m.calls, m.latency, m.failures = make(map[answer]prometheus.Counter), make(map[Operation]prometheus.Observer), make(map[Failure]prometheus.Counter)
	statuses := []string{"2xx", "3xx", "4xx", "5xx", "none"}
	for _, code := range answerCodes {
		statuses = append(statuses, strconv.Itoa(code))
	}
	for _, o := range Operations() {
		m.latency[o] = latency.WithLabelValues(string(o))
		for _, s := range statuses {
			m.calls[answer{o, s}] = calls.WithLabelValues(string(o), s)
		}
	}
	for _, failure := range Failures()[1:] {
		m.failures[failure] = failures.WithLabelValues(string(failure))
	}
}

func (m *metrics) countRest(f *telemetry.Metrics) {
	doubts := f.Counters("cxbridge_command_doubts_total", telemetry.Text{
		Means: "Calls that may have been carried out and whose outcome was looked for, by how that ended: echo (an event showed it), parked (the command ended as unknown), resent (carried out again).",
		Do:    "parked: the webhooks of own messages may be missing; is message_created subscribed?",
	}, "settled")
	m.doubts = make(map[string]prometheus.Counter)
	for _, how := range []string{doubtEcho, doubtParked, doubtResent} {
		m.doubts[how] = doubts.WithLabelValues(how)
	}
	m.repeats = f.Counter("cxbridge_command_duplicates_total", telemetry.Text{
		Means: "Deliveries of commands that had been carried out before, and were answered with the first result: duplicates avoided.",
	})
	m.faults = f.Counter("cxbridge_command_faults_total", telemetry.Text{Means: "Failed requests to the bus on behalf of commands; each is repeated.", Do: "The log has the error."})
	m.terms = f.Counter("cxbridge_command_terms_total", telemetry.Text{
		Means: "How often this bridge became the active one.", Do: "Often: the lease is lost again and again; is the bus slow, or commands.lease_ttl too short?",
	})
	m.panics = f.Counter("cxbridge_command_panics_total", telemetry.Text{Means: "Steps of commands that panicked; they are tried again.", Do: "Report the stack that the log has."})
}

// label keeps what somebody made up out of the metrics.
func label(k subjects.Kind) subjects.Kind {
	if k.Known() {
		return k
	}
	return unknownKind
}

// settled counts a command that has ended.
func (m *metrics) settled(j *job) {
	if j.found && !j.original() {
		return // the first one was counted
	}
	r := j.stands.Result
	kind := label(r.Command)
	c := m.commands[ending{kind, r.Status, r.Reason}]
	if c == nil { // it ended under another version of the bridge
		c = m.endings.WithLabelValues(string(kind), string(r.Status), string(r.Reason))
	}
	c.Inc()
	if t, known := m.times[kind]; known {
		t.result.Observe(max(time.Since(j.published()), 0).Seconds())
		t.attempts.Observe(float64(r.Attempts))
	}
}

// called counts a call that a command made at a time, and whose answer the command has.
func (m *metrics) called(j *job, o Operation, f Failure, at time.Time, took time.Duration) {
	if t, known := m.times[j.kind]; known && j.attempts == 1 {
		t.first.Observe(max(at.Sub(j.published()), 0).Seconds())
	}
	m.latency[o].Observe(took.Seconds())
	if f != FailureNone {
		m.failures[f].Inc()
	}
	if c := m.calls[answer{o, codeOf(j.httpStatus)}]; c != nil {
		c.Inc()
		return
	}
	m.calls[answer{o, classOf(j.httpStatus)}].Inc()
}

// codeOf is strconv.Itoa, without an allocation for the usual ones.
func codeOf(status int) string {
	switch status {
	case 0:
		return "none"
	case 200:
		return "200"
	}
	return strconv.Itoa(status)
}

func classOf(status int) string {
	switch status / 100 {
	case 2:
		return "2xx"
	case 3:
		return "3xx"
	case 4:
		return "4xx"
	case 5:
		return "5xx"
	}
	return "none"
}
