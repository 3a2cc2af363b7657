// Package command carries out commands from the bus at the Sangoma CX API: each once, in order per conversation, with one result. DESIGN.md
// beside this file tells how, and what a crash at each point leads to.
//
// Read in this order: runner.go, consumer.go, position.go, pull.go (from the bus into the lanes), intake.go (from a message to an order), job.go, call.go,
// unknown.go, settle.go (the life of a command), table.go (what each failure leads to), limit.go (when a call may be made).
package command

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/cxbridge/cxbridge/bridge/bound"
	"github.com/cxbridge/cxbridge/bridge/lane"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// Term is the time during which this bridge is the one that carries out commands.
type Term interface {
	Epoch() uint64                 // strictly higher than that of any earlier term of any bridge
	Valid(need time.Duration) bool // whether the term certainly lasts that long
	Done() <-chan struct{}         // closed when the term is lost
}

// Deps are the parts that a [Runner] works with. All are needed unless told otherwise.
type Deps struct {
	Names     subjects.Names
	Tenant    string
	JetStream jetstream.JetStream
	Publisher Publisher // of results; nil is JetStream
	// Bucket has the position of the latest term under the key "position", for the case that its consumer does not tell it.
	Bucket jetstream.KeyValue
	// Numbered tells when the numbering of terms began, which begins anew when what the lease is kept in was deleted. Nil if it never does.
	Numbered   func(ctx context.Context) (time.Time, error)
	Conn       *nats.Conn // for replies and acknowledgements
	Ledger     *ledger.Ledger
	API        API
	Contacts   Contacts
	Layout     EventLayout
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Tracer     trace.Tracer // nil: nothing is traced
}

// Publisher stores messages; a [jetstream.JetStream] is one. It need not take options, and must not hold anything of the message when it has returned.
type Publisher interface {
	PublishMsg(ctx context.Context, message *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// records and epochRecords are what is needed of the ledger.
type records interface {
	Find(ctx context.Context, commandID string) (ledger.Record, error)
	ClaimedAt(ctx context.Context, c ledger.Claim) (time.Time, error)
	MadeByAnother(ctx context.Context, since time.Time, commandID string) (ledger.Makers, error)
}

type epochRecords interface {
	Claim(ctx context.Context, c ledger.Claim) (ledger.Claim, error)
	Release(ctx context.Context, c ledger.Claim, p ledger.Progress) (uint64, error)
	Settle(ctx context.Context, o *ledger.Outcome) (*ledger.Outcome, error)
}

// Runner carries out commands, one term after the other.
type Runner struct {
	cfg      Config
	names    subjects.Names
	tenant   string
	js       jetstream.JetStream
	writer   Publisher
	bucket   jetstream.KeyValue
	numbered func(ctx context.Context) (time.Time, error)
	conn     *nats.Conn
	ledger   records
	begin    func(ctx context.Context, epoch uint64) (epochRecords, error)
	api      API
	contacts Contacts
	layout   EventLayout
	log      *slog.Logger
	tracer   trace.Tracer
	gate     *gate
	metrics  *metrics

	envelopes sync.Pool

	silenceLimit time.Duration // for a consumer of an earlier term to tell its position, before that is taken from the bucket
	stuckLimit   time.Duration // for the consumer of this term to be of use, before the term is given up

	mu   sync.Mutex
	now  *shift                // the term that runs; nil if there is none
	kept map[string]keptAnswer // of calls that ended when their term was over, by the nonce of their claim
}

// New returns a runner. It does no input or output.
func New(cfg Config, deps Deps) (*Runner, error) {
	if deps.Layout.Content == "" {
		deps.Layout = DefaultEventLayout()
	}
	if deps.Publisher == nil {
		deps.Publisher = deps.JetStream
	}
	r := &Runner{
		cfg: cfg, names: deps.Names, tenant: deps.Tenant, js: deps.JetStream, writer: deps.Publisher, bucket: deps.Bucket, numbered: deps.Numbered, conn: deps.Conn,
		ledger: deps.Ledger, api: deps.API, contacts: deps.Contacts, layout: deps.Layout, log: deps.Log, tracer: deps.Tracer,
		silenceLimit: time.Second, stuckLimit: time.Minute,
		gate: newGate(cfg.RatePerSecond, cfg.RateBurst, deps.Log), envelopes: sync.Pool{New: func() any { return newEnvelope() }},
		begin: func(ctx context.Context, epoch uint64) (epochRecords, error) { return deps.Ledger.Begin(ctx, epoch) },
	}
	r.gate.limitCalls(cfg.MaxInFlight)
	var err error
	r.metrics, err = newMetrics(deps.Registerer, r)
	return r, err
}

// Pause stops carrying out commands: calls under way end, and no new one begins until [Runner.Resume]. It outlives terms, not the process.
func (r *Runner) Pause() { r.gate.pause(true) }

// Resume goes on after [Runner.Pause].
func (r *Runner) Resume() { r.gate.pause(false) }

// Status is a picture of the runner at one moment.
type Status struct {
	Active      bool   // a term is running and its consumer has been made
	Epoch       uint64 // of the term; 0 without one
	Held        int    // commands in memory
	Running     int    // steps of commands that are running
	Lanes       int    // conversations and contacts with commands in memory
	Waiting     int    // of them, those whose first command waits for its next attempt
	OldestKey   string // the lane whose command has blocked it the longest
	OldestSince time.Time
	Paused      bool
	Breaker     string    // closed, half-open or open
	Rate        float64   // calls a second that are allowed now; +Inf without a limit
	HoldUntil   time.Time // no call before, because the API asked for it
}

// Status tells how things are.
func (r *Runner) Status() Status {
	v := r.gate.view()
	st := Status{Paused: v.Paused, Breaker: v.Breaker, Rate: v.Limit, HoldUntil: v.Hold}
	r.mu.Lock()
	s := r.now
	r.mu.Unlock()
	if s == nil {
		return st
	}
	l := s.lanes.Stats()
	st.Epoch, st.Held, st.Running, st.Lanes, st.Waiting, st.OldestKey, st.OldestSince = s.term.Epoch(), s.held.len(), l.Active, l.Lanes, l.Blocked, l.OldestKey, l.OldestBlocked
	select {
	case <-s.pulls:
		st.Active = true
	default:
	}
	return st
}

// shift is one term.
type shift struct {
	*Runner
	term        Term
	epoch       epochRecords
	epochNumber uint64
	stream      string
	reader      reader
	lanes       *lane.Lanes
	held        *held
	floor       uint64        // sequence up to which all was done with when the term began; of the pulling, as the next
	silence     time.Time     // since when a consumer of an earlier term has not told its position
	tried       uint64        // sequence up to which an earlier term may have begun commands; of the pulling
	leftover    atomic.Bool   // a consumer of an earlier term is still to be deleted
	disbelieved atomic.Uint64 // revision up to which a position is about another life of the stream
	forgot      atomic.Int64  // time, in nanoseconds, before which the ledger may have forgotten what was begun
	noted       progressed    // what was written down last; of the upkeep, and of the end
	sightings   *sightings
	former      *former
	met         *met
	pulls       chan struct{} // closed when the consumer is there
	patience    *bound.Bounds // with the bus, for a state of a job

	soft  context.Context // ended: nothing new is begun
	hard  context.Context // ended: the bus is not written to any more
	calls context.Context // ended: calls under way are cut
	over  context.CancelCauseFunc
	once  sync.Once

	complained atomic.Int64 // when, in nanoseconds
}

// Run carries out commands for one term. When ctx ends, nothing new is begun, what is in hand is finished, and Run returns nil; when hard
// ends, it returns at once. When the term is lost, calls under way are waited for, and Run returns an error that is [ErrTermOver]; whoever is
// active next finds their claims. When the term's consumer cannot be used for long, what is in hand is finished, and Run returns an error: the next term
// has another one. Any other trouble is repeated until it is over.
func (r *Runner) Run(ctx, hard context.Context, term Term) error {
	soft, over := context.WithCancelCause(ctx)
	defer over(nil)
	write, cut := context.WithCancel(hard)
	defer cut()
	s := &shift{
		Runner: r, term: term, epochNumber: term.Epoch(), stream: r.names.CommandsStream(), held: newHeld(), pulls: make(chan struct{}), patience: bound.New(busPatience),
		sightings: newSightings(r.js, r.names, r.layout), former: newFormer(r.js, r.names), met: newMet(r.js, r.names),
		soft: soft, hard: write, calls: hard, over: over,
	}
	s.held.enough = r.cfg.MaxPending - r.cfg.leastPull()
	stop := context.AfterFunc(soft, func() {
		if errors.Is(context.Cause(soft), ErrTermOver) {
			cut()
		}
	})
	defer stop()
	watch := make(chan struct{})
	go func() {
		defer close(watch)
		select {
		case <-term.Done():
			s.finish(ErrTermOver)
		case <-soft.Done():
		}
	}()
	err := s.run(soft)
	over(nil)
	<-watch
	if cause := context.Cause(soft); errors.Is(cause, ErrTermOver) || errors.Is(cause, errStuck) {
		return cause
	}
	return err
}

// finish ends the term because of an error.
func (s *shift) finish(err error) { s.over(err) }

func (s *shift) run(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return err
	}
	s.lanes = lane.New(s.cfg.workers(), lane.WithStepContext(s.hard), lane.WithOnPanic(s.panicked))
	s.gate.attach(s.lanes.Wake, s.held.tell)
	s.set(s)
	defer s.set(nil)
	s.metrics.terms.Inc()
	alive, stop := context.WithCancel(s.hard)
	var work, keep sync.WaitGroup
	keep.Go(func() { s.keepAlive(alive) })
	keep.Go(func() { s.upkeep(alive) })
	work.Go(func() {
		if err := s.pull(ctx); err != nil {
			s.finish(err)
		}
	})
	err := s.lanes.Run(ctx)
	work.Wait()
	stop()
	keep.Wait()
	if s.hard.Err() == nil {
		s.managed(s.notePosition(s.hard, lookPatience))
	}
	s.keep()
	s.gate.detach()
	if ferr := s.conn.FlushTimeout(time.Second); ferr != nil { // acknowledgements; what is lost comes again
		s.log.Debug("acknowledgements may be lost", "error", ferr.Error())
	}
	return err
}

// prepare fences earlier terms off the ledger, before anything is taken from their consumers.
func (s *shift) prepare(ctx context.Context) error {
	var trouble trouble
	for {
		err := s.begins(ctx)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, ledger.ErrFenced):
			err = fmt.Errorf("%w: %w", ErrTermOver, err)
			s.finish(err)
			return err
		case ctx.Err() != nil:
			return nil
		}
		s.complain("commands cannot begin", err)
		pause(ctx, trouble.next())
	}
}

func (s *shift) begins(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, takeOverPatience)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", s.stream, err)
	}
	s.reader = reader{names: s.names, tenant: s.tenant, prefixes: s.cfg.ReplyPrefixes, stream: s.stream, created: stream.CachedInfo().Created}
	if s.epochNumber, err = s.number(ctx); err != nil {
		return err
	}
	s.epoch, err = s.begin(ctx, s.epochNumber)
	return err
}

// number is the epoch of the term, for the ledger and for the names of consumers: higher than that of each term before, also when the numbers of
// terms began anew.
func (s *shift) number(ctx context.Context) (uint64, error) {
	if s.numbered == nil {
		return s.term.Epoch(), nil
	}
	since, err := s.numbered(ctx)
	if err != nil {
		return 0, fmt.Errorf("number the term: %w", err)
	}
	return uint64(max(since.Unix(), 0))<<32 + s.term.Epoch(), nil
}

// ready tells that the consumer of the term is there.
func (s *shift) ready() { s.once.Do(func() { close(s.pulls) }) }

func (s *shift) set(now *shift) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Runner.now = now
}

// complain counts a failed request to the bus and logs it, of very many one a second.
func (s *shift) complain(what string, err error) {
	s.metrics.faults.Inc()
	now, last := time.Now().UnixNano(), s.complained.Load()
	if s.hard.Err() == nil && now-last >= int64(time.Second) && s.complained.CompareAndSwap(last, now) {
		s.log.Warn(what, "error", err.Error())
	}
}

func (s *shift) panicked(key string, recovered any, stack []byte) {
	s.metrics.panics.Inc()
	s.log.Error("a command panicked and is tried again", "lane", subjects.LaneName(key), "panic", fmt.Sprint(recovered), "stack", string(stack))
}

// newNonce returns an id for a claim that nobody else makes.
func newNonce() string {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // documented never to happen
	}
	return hex.EncodeToString(b[:])
}
