package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// parts is the number of epoch records. A replicated stream refuses a publish whose condition is on a subject that another publish under way has a
// condition on, so that one record would let through one claim at a time.
const parts = 16

// abreast is how many publishes may be under way in one part of a stream that is not replicated. Its server takes them one after the other
// and refuses none, and many together cost less than many in a row.
const abreast = 256

// Epoch is the right to write to the ledger, until a higher epoch begins.
type Epoch struct {
	ledger *Ledger
	number uint64
	parts  [parts]part
	first  uint64        // sequence of its record of the first part, when it began
	begun  uint64        // the highest sequence of its records, when it began
	last   atomic.Uint64 // the highest sequence of what it is known to have written

	mu   sync.Mutex
	held map[string]struct{} // ids of commands that were claimed in this epoch, and neither released nor settled
}

type part struct {
	subject string
	turn    chan struct{} // holds a token for each publish that may begin: one at a time, or abreast
	seq     atomic.Uint64 // of the epoch record
}

// Begin makes number the epoch of the ledger: all claims and outcomes of lower epochs are refused from now on. It returns [ErrFenced] if a
// higher epoch has begun. Beginning the same epoch again is fine.
func (l *Ledger) Begin(ctx context.Context, number uint64) (*Epoch, error) {
	e := &Epoch{ledger: l, number: number, held: make(map[string]struct{})}
	width, err := l.width(ctx)
	if err != nil {
		return nil, fmt.Errorf("begin epoch %d: %w", number, err)
	}
	if err := l.made.forget(ctx); err != nil {
		return nil, fmt.Errorf("begin epoch %d: %w", number, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	for i := range e.parts {
		p := &e.parts[i]
		p.subject, p.turn = l.names.Ledger("epoch", strconv.Itoa(i)), make(chan struct{}, width)
		for range width {
			p.turn <- struct{}{}
		}
		group.Go(func() error { return e.begin(ctx, p) })
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("begin epoch %d: %w", number, err)
	}
	e.first = e.parts[0].seq.Load()
	for i := range e.parts {
		e.begun = max(e.begun, e.parts[i].seq.Load())
	}
	e.last.Store(e.begun)
	l.own.Store(e)
	return e, nil
}

// wrote remembers the sequence of a record that was stored.
func (e *Epoch) wrote(seq uint64) {
	for last := e.last.Load(); seq > last && !e.last.CompareAndSwap(last, seq); last = e.last.Load() {
	}
}

// width is how many publishes may be under way in one part. Should the stream become replicated meanwhile, publishes are refused and
// repeated.
func (l *Ledger) width(ctx context.Context) (int, error) {
	var stream jetstream.Stream
	err := l.patiently(ctx, func() (err error) {
		ctx, cancel := context.WithTimeout(ctx, attemptTime)
		defer cancel()
		stream, err = l.js.Stream(ctx, l.stream)
		return err
	})
	switch {
	case err != nil:
		return 0, err
	case stream.CachedInfo().Config.Replicas > 1:
		return 1, nil
	}
	return abreast, nil
}

// Number returns the number of the epoch.
func (e *Epoch) Number() uint64 { return e.number }

// begin replaces the epoch record of one part. Each step is safe against another beginner at any point: the purge takes away only what was read, and
// the publish succeeds only where nothing is.
func (e *Epoch) begin(ctx context.Context, p *part) error {
	body, err := json.Marshal(epochRecord{Version: recordVersion, Epoch: e.number})
	if err != nil {
		return err
	}
	var wait pause
	for {
		done, err := e.beginOnce(ctx, p, body)
		if done || err != nil && !passes(ctx, err) {
			return err
		}
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

func (e *Epoch) beginOnce(ctx context.Context, p *part, body []byte) (done bool, err error) {
	former, err := e.ledger.get(ctx, query{LastFor: p.subject})
	if err != nil {
		return false, err
	}
	if former != nil {
		record, err := read[epochRecord](p.subject, former.Data)
		switch {
		case err != nil:
			return true, err
		case record.Epoch > e.number:
			return true, fmt.Errorf("%w: %d", ErrFenced, record.Epoch)
		case record.Epoch == e.number:
			p.seq.Store(former.Sequence)
			return true, nil
		}
		if err := e.ledger.purge(ctx, p.subject, former.Sequence); err != nil {
			return false, err
		}
	}
	message := &nats.Msg{Subject: p.subject, Data: body, Header: nats.Header{jetstream.MsgTTLHeader: {"never"}}}
	ack, err := e.ledger.publish(ctx, message, p.subject, 0)
	if err == nil {
		p.seq.Store(ack.Sequence)
		return true, nil
	}
	if wrongSequence(err) || hasCode(err, codeStoreFailed) {
		return false, nil
	}
	return false, err
}

// confirm tells why a condition on the epoch record did not hold: with [ErrFenced] because another epoch has begun, or with nil because another publish
// with a condition was under way.
func (e *Epoch) confirm(ctx context.Context, p *part) error {
	found, err := e.ledger.last(ctx, p.subject)
	if err != nil {
		return err
	}
	if found == nil {
		return fmt.Errorf("%w, or the record of epoch %d was deleted", ErrFenced, e.number)
	}
	record, err := read[epochRecord](p.subject, found.Data)
	if err != nil {
		return errors.Join(ErrFenced, err)
	}
	if record.Epoch != e.number {
		return fmt.Errorf("%w: %d instead of %d", ErrFenced, record.Epoch, e.number)
	}
	p.seq.Store(found.Sequence)
	return nil
}

// part returns the part of an order key. Which one it is matters only for how many publishes can be under way.
func (e *Epoch) part(key string) *part {
	h := fnv.New32a()
	_, _ = h.Write([]byte(key)) // a hash never fails
	return &e.parts[h.Sum32()%parts]
}

func encode(record any) ([]byte, error) {
	if outcome, ok := record.(*outcomeRecord); ok {
		return outcome.encode()
	}
	return json.Marshal(record)
}

// takenError is the refusal of a publish because the subject has a message.
type takenError struct{ message *stored }

func (e *takenError) Error() string { return e.message.Subject + " is taken" }

// put stores a record on a subject that has none, provided the epoch is still current. It returns a takenError if the subject has one.
func (e *Epoch) put(ctx context.Context, p *part, subject string, record any) (uint64, error) {
	body, err := encode(record)
	if err != nil {
		return 0, err
	}
	var wait pause
	for try := 1; ; try++ {
		seq, again, err := e.putOnce(ctx, p, subject, body)
		if err == nil && !again {
			return seq, nil
		}
		if err != nil && (try >= e.ledger.tries || !passes(ctx, err)) {
			return 0, err
		}
		if err := wait.wait(ctx); err != nil {
			return 0, err
		}
	}
}

func (e *Epoch) putOnce(ctx context.Context, p *part, subject string, body []byte) (seq uint64, again bool, err error) {
	select {
	case <-p.turn:
	case <-ctx.Done():
		return 0, false, ctx.Err()
	}
	message := &nats.Msg{Subject: subject, Data: body}
	ack, err := e.ledger.publish(ctx, message, p.subject, p.seq.Load())
	p.turn <- struct{}{}
	switch {
	case err == nil:
		e.wrote(ack.Sequence)
		return ack.Sequence, false, nil
	case wrongSequence(err):
		return 0, true, e.confirm(ctx, p)
	case hasCode(err, codeStoreFailed):
		return 0, true, e.ledger.refused(ctx, subject, err)
	}
	return 0, true, err
}
