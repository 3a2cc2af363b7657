// Package spool keeps messages on the local disk while the bus is away. See DESIGN.md for what it promises.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	openTimeout  = 2 * time.Minute
	openAttempts = 3
	stopTimeout  = 30 * time.Second
	// answerTimeout bounds one operation on the disk of this machine.
	answerTimeout = 10 * time.Second
	// lookEvery is how often Next looks for a message that it was not woken for.
	lookEvery = time.Second
)

var (
	// ErrFull tells that a message does not fit below the bound of the spool.
	ErrFull = errors.New("spool is full")
	// ErrTooLarge tells that a message is larger than any spool takes.
	ErrTooLarge = errors.New("message is too large for the spool")
	// ErrClosed tells that the spool was closed.
	ErrClosed = errors.New("spool is closed")
)

// Stats are figures of the spool.
type Stats struct {
	// Messages counts each message from before its Put returns until after its acknowledgement.
	Messages uint64
	// Bytes is about what these messages take of the bound.
	Bytes uint64
	// Oldest is when the oldest message was put; zero when there is none.
	Oldest time.Time
}

// Spool is a durable queue. It is safe for concurrent use.
type Spool struct {
	config Config
	log    *slog.Logger
	aside  string

	wake   chan struct{} // holds a token when there may be something new
	closed chan struct{}
	mends  sync.WaitGroup

	mu      sync.Mutex
	engine  *engine // nil while it is being mended and after Close
	broken  error   // why there is no engine
	ended   bool
	putting int
	stats   Stats
}

// Open opens the spool, and makes it if it is missing. It fails when the directory cannot be written to or is in use. How long
// it takes is bounded by ctx and by two minutes, three times.
func Open(ctx context.Context, config Config, log *slog.Logger) (*Spool, error) {
	if config.MaxBytes < minBytes {
		return nil, fmt.Errorf("spool: max_bytes is %d, at least %d is needed", config.MaxBytes, minBytes)
	}
	s := &Spool{config: config, log: log, aside: filepath.Join(config.Dir, "aside"), wake: make(chan struct{}, 1), closed: make(chan struct{})}
	opened, stats, err := s.insist(ctx, s.start)
	if err != nil {
		return nil, err
	}
	s.engine, s.stats = opened, stats
	return s, nil
}

// insist starts anew what ran out of time, a few times: a process that was frozen, or a machine that was suspended, finds all time used up.
func (s *Spool) insist(ctx context.Context, start func(context.Context) (*engine, Stats, error)) (opened *engine, stats Stats, err error) {
	for range openAttempts {
		opened, stats, err = start(ctx)
		if ctx.Err() != nil || !errors.Is(err, context.DeadlineExceeded) {
			break
		}
		s.log.Warn("the spool did not open in time; trying again", "dir", s.config.Dir, "error", err)
	}
	return opened, stats, err
}

func (s *Spool) start(ctx context.Context) (*engine, Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	opened, stats, err := openEngine(ctx, s.config, s.log)
	if err != nil {
		return nil, Stats{}, fmt.Errorf("spool: %w", err)
	}
	return opened, stats, nil
}

// Put stores a message. When it returns nil, the message is synced to disk and will be handed out by Next, after all that
// were put before it, also after a crash. [ErrFull] and [ErrTooLarge] tell that it was certainly not stored; after any other error it
// may be stored all the same.
func (s *Spool) Put(ctx context.Context, msg *nats.Msg) error {
	size := sizeOf(msg)
	current, err := s.begin(size)
	if err != nil {
		return err
	}
	fate, err := current.put(ctx, msg)
	s.finish(fate, size)
	if fate == unclear {
		s.suspect(current, err)
	}
	if err != nil {
		return fmt.Errorf("spool: put: %w", err)
	}
	return nil
}

// begin counts a message before it is stored, so that the spool never looks empty while it is not.
func (s *Spool) begin(size uint64) (*engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine == nil {
		return nil, s.unavailable()
	}
	if s.stats.Messages == 0 {
		s.stats.Oldest = time.Now()
	}
	s.putting++
	s.stats.Messages++
	s.stats.Bytes += size
	return s.engine, nil
}

func (s *Spool) unavailable() error {
	if s.ended {
		return ErrClosed
	}
	return fmt.Errorf("spool does not work at the moment: %w", s.broken)
}

func (s *Spool) finish(f fate, size uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.putting--
	if f == refused {
		s.forget(size)
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// forget takes one message out of the figures. s.mu is held.
func (s *Spool) forget(size uint64) {
	s.stats.Messages -= min(1, s.stats.Messages)
	s.stats.Bytes -= min(size, s.stats.Bytes)
	if s.stats.Messages == 0 {
		s.stats = Stats{}
	}
}

// Next hands out the oldest message, and waits for one while there is none. The message stays the oldest until ack returned nil: who
// calls Next again before that gets the same one, also after a crash. After an error of ack it may be handed out again.
func (s *Spool) Next(ctx context.Context) (msg *nats.Msg, ack func() error, err error) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		msg, ack, err := s.head(ctx)
		if err != nil || msg != nil {
			return msg, ack, err
		}
		select {
		case <-s.wake:
		case <-look.C:
		case <-s.closed:
			return nil, nil, ErrClosed
		case <-ctx.Done():
			return nil, nil, context.Cause(ctx)
		}
	}
}

// head returns the oldest message, nil if there is none or the spool is being mended.
func (s *Spool) head(ctx context.Context) (*nats.Msg, func() error, error) {
	s.mu.Lock()
	current, ended := s.engine, s.ended
	s.mu.Unlock()
	if ended {
		return nil, nil, ErrClosed
	}
	if current == nil {
		return nil, nil, nil
	}
	raw, err := current.head(ctx)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil, s.empty(ctx, current)
	}
	if err != nil {
		s.suspect(current, err)
		return nil, nil, fmt.Errorf("spool: next: %w", err)
	}
	msg := unwrap(raw)
	s.mu.Lock()
	s.stats.Oldest = raw.Time
	s.stats.Messages = max(s.stats.Messages, 1)
	s.mu.Unlock()
	return msg, func() error { return s.remove(current, raw.Sequence, sizeOf(msg)) }, nil
}

// empty sets the figures right when nothing is there and nothing is under way, as they count what may have been stored.
func (s *Spool) empty(ctx context.Context, current *engine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.putting > 0 || s.stats.Messages == 0 || s.engine != current {
		return nil
	}
	// While s.mu is held no Put begins, so that what is asked now stays true.
	stats, err := current.stats(ctx)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	s.stats = stats
	return nil
}

func (s *Spool) remove(current *engine, sequence, size uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), answerTimeout)
	defer cancel()
	err := current.remove(ctx, sequence)
	if errors.Is(err, errGone) {
		return nil
	}
	if err != nil {
		s.suspect(current, err)
		return fmt.Errorf("spool: ack: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(size)
	return nil
}

// Stats are the figures at the moment. They cost nothing.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// usualBytes is room for the webhooks that usually come. Without it a spool is as good as full, although it may take a small one.
const usualBytes = 64 << 10

// Healthy returns why the spool cannot take messages, nil if it can.
func (s *Spool) Healthy(ctx context.Context) error {
	s.mu.Lock()
	current := s.engine
	err := error(nil)
	if current == nil {
		err = s.unavailable()
	}
	s.mu.Unlock()
	if err != nil {
		return err
	}
	stats, err := current.stats(ctx)
	if err == nil {
		err = current.failure()
	}
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	if stats.Bytes+usualBytes >= uint64(s.config.MaxBytes) {
		return ErrFull
	}
	return nil
}

// Close stops the spool. What is in it stays on disk. Calls that are under way fail.
func (s *Spool) Close() error {
	s.mu.Lock()
	current, again := s.engine, s.ended
	s.ended, s.engine = true, nil
	s.mu.Unlock()
	if again {
		return nil
	}
	close(s.closed)
	s.mends.Wait()
	if current == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return current.stop(ctx)
}
