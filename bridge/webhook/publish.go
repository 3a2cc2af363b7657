package webhook

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/spool"
)

// Publisher is the part of [jetstream.Publisher] that stores a message on the bus. It holds nothing of the message after it returned.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// Spool keeps messages on the local disk while the bus is away; see [spool.Spool]. Its Stats must count a message from before Put returns
// until after the acknowledgement of Next returned. Put holds nothing of the message after it returned.
type Spool interface {
	Put(ctx context.Context, msg *nats.Msg) error
	Next(ctx context.Context) (msg *nats.Msg, ack func() error, err error)
	Stats() spool.Stats
	// PutAside keeps a message that the bus will never take in a file beside the queue and returns where.
	PutAside(msg *nats.Msg, reason string) (file string, err error)
}

// Errors of storing that have an answer of their own; all others are answered 500.
var (
	errTooLarge  = errors.New("larger than the bus takes")
	errSpoolFull = errors.New("the spool is full")
)

// unknownMaxPayload is assumed to be the largest payload of a bus that was never reached: the default of nats-server.
const unknownMaxPayload = 1 << 20

// mostHeaders is more than all headers of a message take, in bytes: each has a limit of its own.
const mostHeaders = 64 << 10

// headerExpectedStream makes the bus refuse a message that would end up in another stream.
const headerExpectedStream = "Nats-Expected-Stream"

// store is where messages go: the bus, or the spool while the bus is away.
type store struct {
	publisher  Publisher
	spool      Spool // nil: there is none
	maxPayload func() int64
	stream     func(subject string) []string // the value of headerExpectedStream
	attempt    time.Duration
	total      time.Duration
	log        *slog.Logger
	metrics    *metrics

	window atomic.Pointer[window] // for attempts that begin now

	spooling atomic.Bool // everything goes to the spool, behind what is there
	mu       sync.Mutex
	putting  int // calls of Put that have not returned
}

// put stores a message durably, or returns an error. After an error it may be stored all the same.
func (s *store) put(msg *nats.Msg) (outcome, error) {
	limit := s.maxPayload()
	if limit <= 0 {
		limit = unknownMaxPayload
	}
	if int64(len(msg.Data)) > limit-mostHeaders && size(msg) > limit {
		return outcomeRefused, errTooLarge
	}
	// The sender going away must not interrupt what was begun.
	deadline := time.Now().Add(s.total)
	if s.spool == nil {
		return s.direct(msg, deadline, true)
	}
	if !s.spooling.Load() {
		came, err := s.direct(msg, deadline.Add(-s.total/2), false)
		if err == nil || errors.Is(err, errTooLarge) {
			return came, err
		}
		return s.toSpool(msg, deadline, err)
	}
	return s.toSpool(msg, deadline, nil)
}

// direct publishes a message, with the same id at each attempt, until it is acknowledged, the deadline is over or, unless it is patient, the
// bus is known to be away.
func (s *store) direct(msg *nats.Msg, deadline time.Time, patient bool) (outcome, error) {
	const pause = 100 * time.Millisecond
	for {
		ctx, cancel := s.within(time.Now(), deadline)
		came, err := s.send(ctx, msg)
		cancel()
		if err == nil || errors.Is(err, errTooLarge) || time.Until(deadline) <= pause {
			return came, err
		}
		if !patient && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, nats.ErrTimeout) {
			return came, err
		}
		s.metrics.repeats.Inc()
		time.Sleep(pause)
	}
}

// publish makes one attempt.
func (s *store) publish(ctx context.Context, msg *nats.Msg, deadline time.Time) (outcome, error) {
	ctx, cancel := context.WithDeadline(ctx, earlier(time.Now().Add(s.attempt), deadline))
	defer cancel()
	return s.send(ctx, msg)
}

// window is a context that ends after the time of an attempt.
type window struct {
	ctx  context.Context
	open time.Time // until when attempts may begin with it
}

// within returns a context for an attempt that begins now: it ends after the time that an attempt may take, or up to a sixteenth earlier,
// and never after the deadline. Attempts that begin at about the same time share one, because a context and a timer for each event cost more
// than reading the event does.
func (s *store) within(now, deadline time.Time) (context.Context, context.CancelFunc) {
	if now.Add(s.attempt).After(deadline) {
		return context.WithDeadline(context.Background(), deadline)
	}
	w := s.window.Load()
	if w == nil || now.After(w.open) {
		ctx, cancel := context.WithDeadline(context.Background(), now.Add(s.attempt))
		context.AfterFunc(ctx, cancel) // only its time ends it
		w = &window{ctx: ctx, open: now.Add(s.attempt / 16)}
		s.window.Store(w)
	}
	return w.ctx, func() {}
}

// send publishes a message and waits for its acknowledgement.
func (s *store) send(ctx context.Context, msg *nats.Msg) (outcome, error) {
	msg.Header[headerExpectedStream] = s.stream(msg.Subject)
	ack, err := s.publisher.PublishMsg(ctx, msg)
	// The spool's own stream has another name.
	delete(msg.Header, headerExpectedStream)
	switch {
	case err == nil && ack.Duplicate:
		return outcomeRepeated, nil
	case err == nil:
		return outcomeStored, nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return outcomeRefused, errTooLarge
	}
	return outcomeRefused, err
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// toSpool puts a message into the spool. From before it is there until the drain has emptied the spool, no message passes it by.
func (s *store) toSpool(msg *nats.Msg, deadline time.Time, cause error) (outcome, error) {
	s.mu.Lock()
	s.putting++
	if !s.spooling.Swap(true) {
		s.log.Warn("the bus does not take events; they go to the spool", "error", cause)
	}
	s.mu.Unlock()

	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	err := s.spool.Put(ctx, msg)

	s.mu.Lock()
	s.putting--
	s.mu.Unlock()
	s.settle()
	switch {
	case errors.Is(err, spool.ErrFull):
		return outcomeRefused, errSpoolFull
	case errors.Is(err, spool.ErrTooLarge):
		return outcomeRefused, errTooLarge
	case err != nil:
		return outcomeRefused, err
	}
	return outcomeSpooled, nil
}

// settle ends spooling when the spool is empty and nothing is on its way into it.
func (s *store) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.putting == 0 && s.spool.Stats().Messages == 0 && s.spooling.Swap(false) {
		s.log.Info("the spool is empty; events go to the bus again")
	}
}

func newStore(cfg Config, deps Deps, m *metrics) *store {
	dead := deps.Names.DeadWebhook()
	s := &store{
		publisher: deps.Publisher, spool: deps.Spool, maxPayload: deps.MaxPayload, attempt: cfg.AttemptTimeout, total: cfg.StoreTimeout,
		log: deps.Log, metrics: m,
	}
	events, letters := []string{deps.Names.EventsStream()}, []string{deps.Names.DeadStream()}
	s.stream = func(subject string) []string {
		if subject == dead {
			return letters
		}
		return events
	}
	if s.spool != nil {
		s.spooling.Store(s.spool.Stats().Messages > 0)
	}
	return s
}
