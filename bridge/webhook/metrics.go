package webhook

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/subjects"
)

// outcome is what became of an event when it was received.
type outcome uint8

const (
	outcomeStored   outcome = iota // on the bus
	outcomeRepeated                // it was on the bus already
	outcomeSpooled                 // in the spool
	outcomeRefused                 // nowhere; the sender was told so
	outcomes
)

func (o outcome) String() string { return [...]string{"stored", "repeated", "spooled", "refused"}[o] }

// origins are who may have written a message; the first is for events that are about none.
var origins = [...]subjects.Origin{
	"", subjects.OriginCustomer, subjects.OriginAgent, subjects.OriginBot, subjects.OriginSystem, subjects.OriginUnknown,
}

// tally counts the events of a name.
type tally [len(origins)][outcomes]prometheus.Counter

// metrics are counted without looking up a label on the way of an event.
type metrics struct {
	answers   map[int]prometheus.Counter
	events    map[string]*tally // by name, of known names
	others    *tally
	drained   prometheus.Counter
	aside     prometheus.Counter
	repeats   prometheus.Counter
	malformed prometheus.Counter
	unsigned  prometheus.Counter
	loops     prometheus.Counter
	echoes    prometheus.Counter
	panics    prometheus.Counter
	inFlight  prometheus.Gauge
	receipt   prometheus.Histogram
	age       prometheus.Histogram
}

func newMetrics(registry prometheus.Registerer, names []string, conns func() float64) (*metrics, error) {
	f := telemetry.NewMetrics(registry)
	m := &metrics{answers: make(map[int]prometheus.Counter), events: make(map[string]*tally)}
	requests := f.Counters("cxbridge_webhook_requests_total", telemetry.Text{
		Means: "Requests to the webhook listener, by status of the answer.",
		Do:    "401: compare path tokens and signature secrets with those of the sender. 403: webhook.allow_networks. 429: raise webhook.max_in_flight or spool.max_bytes. 500: the log names what could not be stored.",
	}, "code")
	for _, code := range []int{200, 400, 401, 403, 404, 405, 408, 413, 429, 500} {
		m.answers[code] = requests.WithLabelValues(strconv.Itoa(code))
	}
	m.countEvents(f, names)
	m.countRest(f)
	m.inFlight = f.Gauge("cxbridge_webhook_in_flight", telemetry.Text{Means: "Requests that are worked on.", Do: "Compare with webhook.max_in_flight."})
	m.receipt = f.Histogram("cxbridge_webhook_receipt_seconds", telemetry.Text{
		Means: "Time from the beginning of a request to the answer 200.", Do: "If it grows, look at the bus first: the answer waits until the event is stored.",
	}, []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5})
	m.age = f.Histogram("cxbridge_event_age_seconds", telemetry.Text{
		Means: "Time from the receipt of an event until the bus has stored it, the time in the spool included.", Do: "Ages of minutes are those of a spool that is emptied.",
	}, []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 30, 60, 300, 1800, 7200, 43200, 259200})
	open := telemetry.NewReading("cxbridge_webhook_connections", telemetry.Text{Means: "Open connections to the webhook listener.", Do: "Compare with webhook.max_connections."})
	f.Read(func(emit telemetry.Emit) { emit(open, conns()) }, open)
	return m, f.Err()
}

func (m *metrics) countEvents(f *telemetry.Metrics, names []string) {
	events := f.Counters("cxbridge_events_total", telemetry.Text{
		Means: "Webhook events that were understood, by the vendor's name (other: one that is not known), who wrote the message (none: it is about none), and what became of them at receipt: stored, repeated (stored before), spooled, refused (not stored, and answered 4xx or 5xx).",
		Do:    "refused: see cxbridge_webhook_requests_total for the answers. spooled: the bus is away.",
	}, "event", "origin", "outcome")
	one := func(name string, of ...subjects.Origin) *tally {
		t := &tally{}
		for i, origin := range origins {
			for _, wanted := range of {
				if wanted != origin {
					continue
				}
				for o := range outcomes {
					t[i][o] = events.WithLabelValues(name, or(string(origin), "none"), o.String())
				}
			}
		}
		return t
	}
	for _, name := range names {
		if strings.HasPrefix(name, "message_") {
			m.events[name] = one(name, origins[1:]...)
		} else {
			m.events[name] = one(name, origins[0])
		}
	}
	m.others = one("other", origins[:]...)
}

func or(text, instead string) string {
	if text == "" {
		return instead
	}
	return text
}

func (m *metrics) countRest(f *telemetry.Metrics) {
	m.drained = f.Counter("cxbridge_spool_drained_total", telemetry.Text{Means: "Messages taken out of the spool."})
	m.aside = f.Counter("cxbridge_spool_aside_total", telemetry.Text{
		Means: "Messages of the spool that the bus will never take, kept in files.", Do: "The log names the files; publish them by hand, or raise max_payload of nats-server.",
	})
	m.repeats = f.Counter("cxbridge_event_publish_repeats_total", telemetry.Text{Means: "Attempts to publish an event that were repeated.", Do: "The bus is slow or loses leaders."})
	m.malformed = f.Counter("cxbridge_webhook_malformed_total", telemetry.Text{
		Means: "Bodies that were no JSON object with an event name; kept as dead letters.", Do: "Look at them: cxbridge dead list. Perhaps webhook.fields must be set.",
	})
	m.unsigned = f.Counter("cxbridge_webhook_signature_failures_total", telemetry.Text{
		Means: "Requests whose signature was missing, wrong or too old.", Do: "Compare webhook.signature_secrets with those of the sender, and the clocks.",
	})
	m.loops = f.Counter("cxbridge_loop_marked_events_total", telemetry.Text{
		Means: "Events marked with Cx-Loop, because bots talked without a customer.", Do: "Find the bots that answer each other; they should stop at Cx-Loop.",
	})
	m.echoes = f.Counter("cxbridge_event_echoes_total", telemetry.Text{Means: "Events that a command of a bridge caused, and that say so in Cx-Echo-Of."})
	m.panics = f.Counter("cxbridge_webhook_panics_total", telemetry.Text{Means: "Requests that ended in a panic.", Do: "Report the stack that the log has."})
}

// certificateExpiry exports until when the certificate of the listener is valid.
func certificateExpiry(registry prometheus.Registerer, until func() time.Time) error {
	f := telemetry.NewMetrics(registry)
	expiry := telemetry.NewReading("cxbridge_webhook_certificate_expiry_timestamp_seconds", telemetry.Text{
		Means: "When the certificate of the webhook listener expires, as a Unix time; only with webhook.tls.", Do: "Renew the file; it is read again without a restart.",
	})
	f.Read(func(emit telemetry.Emit) {
		if t := until(); !t.IsZero() {
			emit(expiry, float64(t.Unix()))
		}
	}, expiry)
	return f.Err()
}

func (m *metrics) answered(code int) { m.answers[code].Inc() }

// event counts an event.
func (m *metrics) event(name string, by subjects.Origin, o outcome) {
	t, known := m.events[name]
	if !known {
		t = m.others
	}
	c := t[originIndex(by)][o]
	if c == nil { // no event of that name is expected to have that origin
		c = m.others[originIndex(by)][o]
	}
	c.Inc()
}

func originIndex(by subjects.Origin) int {
	for i := range origins {
		if origins[i] == by {
			return i
		}
	}
	return len(origins) - 1
}

// taken counts an event that was received at a time and is answered 200 now.
func (m *metrics) taken(name string, by subjects.Origin, o outcome, since time.Time) {
	m.answered(http.StatusOK)
	took := time.Since(since).Seconds()
	m.receipt.Observe(took)
	if o != outcomeSpooled {
		m.age.Observe(took)
	}
	m.event(name, by, o)
}

// left counts a message that the drain took out of the spool.
func (m *metrics) left(received string) {
	m.drained.Inc()
	if at, err := time.Parse(time.RFC3339, received); err == nil {
		m.age.Observe(max(time.Since(at), 0).Seconds())
	}
}
