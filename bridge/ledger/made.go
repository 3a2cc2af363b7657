package ledger

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// made reads which message was made by which command, for searches of echoes. After a crash hundreds of searches begin at once: they share what was
// read, and each reading goes on where the last one ended.
type made struct {
	ledger *Ledger
	turn   chan struct{} // holds one token: one reading at a time

	// of whoever has the turn
	window *window
	read   time.Time // when the last reading began, by the local clock
}

// window is a stretch of the ledger that has been read.
type window struct {
	from time.Time // of the server's clock
	last time.Time // of the last record that was read; from if none was
	next uint64    // sequence at which the next reading begins; 0 to begin at from

	mu        sync.RWMutex
	commands  map[string]string // ids of commands by the ids of messages
	illegible time.Time         // of the last outcome that could not be read; zero if all could
}

// A window begins earlier than the search needs it, because the searches after a crash have claims of the same minute and come in any order. It is given
// up for a later one when the search does not need what it holds, or when it holds too much.
const (
	windowLead = time.Minute
	windowMost = 100_000
)

func newMade(l *Ledger) *made {
	m := &made{ledger: l, turn: make(chan struct{}, 1)}
	m.turn <- struct{}{}
	return m
}

// forget has the next search read from the beginning: the stream may have been deleted and made anew since the last epoch, whose end that was.
func (m *made) forget(ctx context.Context) error {
	select {
	case <-m.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	m.window, m.read = nil, time.Time{}
	m.turn <- struct{}{}
	return nil
}

// Makers tells which messages were made by commands other than one.
type Makers struct {
	window    *window
	commandID string
	since     time.Time
}

// MadeByAnother returns the makers of messages other than a command, as far as outcomes were stored from since, by the server's clock, until the
// call of MadeByAnother.
func (l *Ledger) MadeByAnother(ctx context.Context, since time.Time, commandID string) (Makers, error) {
	window, err := l.made.readSince(ctx, since)
	if err != nil {
		return Makers{}, fmt.Errorf("read outcomes: %w", err)
	}
	return Makers{window, commandID, since}, nil
}

// Made reports whether a message is known to be made by another command.
func (m Makers) Made(messageID string) bool {
	m.window.mu.RLock()
	defer m.window.mu.RUnlock()
	maker, ok := m.window.commands[messageID]
	return ok && maker != m.commandID
}

// Complete reports whether all outcomes could be read. One of a later version of the bridge cannot, and may be that of any message.
func (m Makers) Complete() bool {
	m.window.mu.RLock()
	defer m.window.mu.RUnlock()
	return m.window.illegible.IsZero() || m.window.illegible.Before(m.since)
}

func (m *made) readSince(ctx context.Context, since time.Time) (*window, error) {
	asked := time.Now()
	select {
	case <-m.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	if !m.window.serves(since) {
		from := since.Add(-windowLead)
		m.window, m.read = &window{from: from, last: from, commands: make(map[string]string)}, time.Time{}
	}
	if m.read.After(asked) {
		return m.window, nil
	}
	began := time.Now()
	err := m.ledger.patiently(ctx, func() error { return m.ledger.catchUp(ctx, m.window) })
	if err != nil {
		return nil, err
	}
	m.read = began
	return m.window, nil
}

// catchUp reads all outcomes that the stream's leader has now.
func (l *Ledger) catchUp(ctx context.Context, w *window) error {
	newest, err := l.get(ctx, query{LastFor: l.names.Ledger("done", "*")})
	if err != nil || newest == nil || newest.Sequence < w.next || newest.Time.Before(w.from) {
		return err
	}
	config := jetstream.ConsumerConfig{
		FilterSubject: l.names.Ledger("done", "*"), AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: time.Minute, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &w.from,
	}
	if w.next > 0 {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartSequencePolicy, w.next, nil
	}
	consumer, err := l.js.CreateConsumer(ctx, l.stream, config)
	if err != nil {
		return err
	}
	failure := l.readTo(ctx, consumer, newest.Sequence, w)
	if err := l.js.DeleteConsumer(ctx, l.stream, consumer.CachedInfo().Name); err != nil && failure == nil {
		l.log.DebugContext(ctx, "a reader of the ledger was left to expire", "error", err)
	}
	return failure
}

// readTo reads outcomes up to the given sequence into the window. It fails when one was lost on the way.
func (l *Ledger) readTo(ctx context.Context, consumer jetstream.Consumer, last uint64, w *window) error {
	messages, err := consumer.Messages(jetstream.PullMaxMessages(500))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for delivered := uint64(1); ; delivered++ {
		message, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return err
		}
		meta, err := message.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != delivered {
			return fmt.Errorf("delivery %d of outcomes instead of %d", meta.Sequence.Consumer, delivered)
		}
		w.add(message, meta)
		if meta.Sequence.Stream >= last {
			return nil
		}
	}
}

// serves reports whether a search from since on can use the window.
func (w *window) serves(since time.Time) bool {
	if w == nil || since.Before(w.from) || since.After(w.last.Add(2*windowLead)) {
		return false
	}
	return len(w.commands) <= windowMost || since.Before(w.from.Add(2*windowLead))
}

func (w *window) add(message jetstream.Msg, meta *jetstream.MsgMetadata) {
	record, err := read[makerRecord](message.Subject(), message.Data())
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.illegible = meta.Timestamp
	case record.MessageID != "":
		w.commands[record.MessageID] = record.Result.CommandID
	}
	w.next, w.last = meta.Sequence.Stream+1, meta.Timestamp
}
