package webhook

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Path is what the path of a webhook begins with; a path token follows.
const Path = "/webhooks/"

// Deps are what a receiver works with.
type Deps struct {
	Names       subjects.Names
	Tenant      string // the tenant's domain
	Keyed       bool   // events go to keyed subjects
	Publisher   Publisher
	Spool       Spool                       // nil if the bus is in this process, as then nothing else survives its failure
	Echo        Echo                        // nil: nothing is known of own messages
	Fingerprint func(content string) string // of Echo; needed with it
	Drift       Drift                       // nil: nobody watches what the vendor changes
	MaxPayload  func() int64                // the largest message that the bus takes, in bytes; 0 or nil while that is not known
	Log         *slog.Logger
	Registerer  prometheus.Registerer // nil: nothing is exported
	Tracer      trace.Tracer          // nil: nothing is traced
}

// Receiver takes webhooks in. It is made by [New].
type Receiver struct {
	cfg         Config
	names       subjects.Names
	tenant      string
	source      string // of CloudEvents
	keyed       bool
	known       map[string]string // subjects of events that the vendor is known to send
	volatile    map[string]bool
	echo        Echo
	fingerprint func(string) string
	drift       Drift
	log         *slog.Logger
	registerer  prometheus.Registerer
	tracer      trace.Tracer

	paths   *paths
	gates   atomic.Pointer[gates]
	loops   *loopGuard
	store   *store
	metrics *metrics
	conns   *connections
	letters sync.Pool // of *letter

	requests         atomic.Int64 // in flight
	bytes            atomic.Int64 // of their bodies
	drainTrouble     trouble
	storeTrouble     trouble
	signatureTrouble trouble
}

// Drift watches what the vendor changes.
type Drift interface {
	// Offer gives an event to be looked at. It never waits, and holds neither the name nor the body after it returned.
	Offer(name string, body []byte, now time.Time)
}

// New makes a receiver. The configuration must have passed its [Config.Check]; what it says of files is read here.
func New(cfg Config, deps Deps) (*Receiver, error) {
	if deps.Echo != nil && deps.Fingerprint == nil {
		return nil, errors.New("webhook: Echo needs Fingerprint")
	}
	if deps.MaxPayload == nil {
		deps.MaxPayload = func() int64 { return 0 }
	}
	r := &Receiver{
		cfg: cfg, names: deps.Names, tenant: deps.Tenant, source: subjects.CESource(deps.Tenant), keyed: deps.Keyed,
		known: make(map[string]string), volatile: make(map[string]bool), echo: deps.Echo, fingerprint: deps.Fingerprint, drift: deps.Drift, log: deps.Log, registerer: deps.Registerer,
		tracer: deps.Tracer,
		loops:  newLoopGuard(cfg.MaxBotTurns), conns: newConnections(cfg.MaxConnections),
	}
	for _, name := range schema.EventNames() {
		r.known[name] = deps.Names.Event(name)
	}
	for _, name := range cfg.VolatileMembers {
		r.volatile[name] = true
	}
	if err := r.prepare(cfg, deps); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	return r, nil
}

func (r *Receiver) prepare(cfg Config, deps Deps) (err error) {
	compiled, wrong := compileFields(cfg.Fields)
	if wrong != nil {
		return fmt.Errorf("fields.%s %s", wrong.key, wrong.rule)
	}
	r.paths = compiled
	open, err := newGates(cfg, deps.Log)
	if err != nil {
		return err
	}
	r.gates.Store(open)
	if r.metrics, err = newMetrics(deps.Registerer, schema.EventNames(), r.conns.count); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	r.store = newStore(cfg, deps, r.metrics)
	return nil
}

// Handler returns the handler of the public listener.
func (r *Receiver) Handler() http.Handler { return http.HandlerFunc(r.serve) }

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request) {
	defer r.recover(w)
	if p := r.receive(w, req); p != nil {
		r.metrics.answered(p.status)
		p.write(w)
	}
}

// recover answers a request that ended in a panic.
func (r *Receiver) recover(w http.ResponseWriter) {
	cause := recover()
	if cause == nil {
		return
	}
	r.metrics.panics.Inc()
	r.metrics.answered(http.StatusInternalServerError)
	r.log.Error("a webhook request panicked", "panic", cause, "stack", string(debug.Stack()))
	problemInternal.write(w)
}

// receive takes one request through all steps. It returns what is wrong with it, or nil after it was answered 200.
func (r *Receiver) receive(w http.ResponseWriter, req *http.Request) *problem {
	start := time.Now()
	pass := r.gates.Load()
	if p := r.admit(pass, req); p != nil {
		r.tellRefused(p, slog.LevelDebug, req.Header, start)
		return p
	}
	v := r.visit(req, start)
	p := r.take(w, req, pass, v, start)
	v.end(p)
	if p != nil {
		r.tellRefused(p, slog.LevelWarn, req.Header, start)
	}
	return p
}

// take takes in a request that passed admission.
func (r *Receiver) take(w http.ResponseWriter, req *http.Request, pass *gates, v *visit, start time.Time) *problem {
	reserved := req.ContentLength
	if reserved < 0 {
		reserved = r.cfg.MaxBodyBytes
	}
	defer r.leave(reserved)
	if !r.enter(reserved) {
		return problemBusy
	}
	body, p := r.read(w, req)
	if p != nil {
		return p
	}
	now := time.Now()
	if p := r.checkSignature(pass, req.Header, body, now); p != nil {
		return p
	}
	e, err := r.paths.identify(body)
	if err != nil {
		return r.malformed(req.Header, body, err, now, v)
	}
	l := r.message(&e, body, now, req.Header)
	span := v.publish(l)
	came, err := r.store.put(&l.msg)
	published(span, came, err)
	if p := r.failed(&l.msg, err); p != nil {
		r.metrics.event(e.name, l.by, outcomeRefused)
		return p
	}
	r.metrics.taken(e.name, l.by, came, start)
	r.tell(&l.msg, start)
	if r.drift != nil {
		r.drift.Offer(e.name, body, now)
	}
	r.reuse(l)
	w.Header()["Content-Type"] = jsonContent
	_, _ = w.Write(emptyObject) // The event is stored; that the sender is told so cannot be made certain anyway.
	return nil
}

var (
	jsonContent = []string{"application/json"}
	emptyObject = []byte("{}\n")
)

// admit looks at everything that is known before the body is read.
func (r *Receiver) admit(pass *gates, req *http.Request) *problem {
	token, ok := strings.CutPrefix(req.URL.Path, Path)
	switch {
	case !ok || strings.Contains(token, "/"):
		return problemNotFound
	case req.Method != http.MethodPost:
		return problemMethod
	case !pass.networks.allow(req):
		return problemNetwork
	case !pass.tokens.valid(token):
		return problemToken
	case req.ContentLength > r.cfg.MaxBodyBytes:
		return problemTooLarge
	}
	return nil
}

// enter counts a request in and reports whether it is within the limits; leave counts it out in any case.
func (r *Receiver) enter(bytes int64) bool {
	r.metrics.inFlight.Inc()
	requests, total := r.requests.Add(1), r.bytes.Add(bytes)
	return requests <= int64(r.cfg.MaxInFlight) && total <= r.cfg.MaxInFlightBytes
}

func (r *Receiver) leave(bytes int64) {
	r.requests.Add(-1)
	r.bytes.Add(-bytes)
	r.metrics.inFlight.Dec()
}

// read reads the body into memory of the right size.
func (r *Receiver) read(w http.ResponseWriter, req *http.Request) ([]byte, *problem) {
	var body []byte
	var err error
	if req.ContentLength >= 0 {
		body = make([]byte, req.ContentLength)
		_, err = io.ReadFull(req.Body, body)
	} else {
		body, err = io.ReadAll(http.MaxBytesReader(w, req.Body, r.cfg.MaxBodyBytes))
	}
	var tooLarge *http.MaxBytesError
	switch {
	case err == nil:
		return body, nil
	case errors.As(err, &tooLarge):
		return nil, problemTooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, problemSlow
	}
	return nil, problemCut
}

func (r *Receiver) checkSignature(pass *gates, in http.Header, body []byte, now time.Time) *problem {
	if pass.mode == SignatureOff {
		return nil
	}
	err := pass.signatures.check(in, body, now)
	if err == nil {
		if r.signatureTrouble.Done() {
			r.log.Info("webhooks are signed rightly again")
		}
		return nil
	}
	r.metrics.unsigned.Inc()
	if pass.mode == SignatureLog {
		r.signatureTrouble.Do(err, func() {
			r.log.Warn("a webhook with a bad signature was taken, because signature_mode is log", "error", err)
		})
		return nil
	}
	r.signatureTrouble.Do(err, func() { r.log.Warn("a webhook with a bad signature was refused", "error", err) })
	return problemSignature
}

// malformed keeps a body that is not understood as a dead letter.
func (r *Receiver) malformed(in http.Header, body []byte, why error, now time.Time, v *visit) *problem {
	r.metrics.malformed.Inc()
	l := r.deadLetter(body, why, now, in)
	span := v.publish(l)
	came, err := r.store.put(&l.msg)
	published(span, came, err)
	if p := r.failed(&l.msg, err); p != nil {
		return p
	}
	r.reuse(l)
	return problemMalformed
}

// failed returns the answer to a message that was not stored.
func (r *Receiver) failed(msg *nats.Msg, err error) *problem {
	switch {
	case err == nil:
		if r.storeTrouble.Done() {
			r.log.Info("webhooks are stored again")
		}
		return nil
	case errors.Is(err, errTooLarge):
		// Each one is lost, as the vendor does not send it again.
		r.log.Error("a webhook was answered 413, because it is larger than the bus takes; raise max_payload of nats-server, or max_msg_size of the stream",
			"event_id", msg.Header.Get(subjects.HeaderMsgID), "bytes", size(msg))
		return problemForBus
	case errors.Is(err, errSpoolFull):
		r.storeTrouble.Do(err, func() { r.log.Error("a webhook was answered 429, because the spool is full") })
		return problemFull
	}
	r.storeTrouble.Do(err, func() { r.log.Error("a webhook could not be stored", "error", err) })
	return problemStorage
}
