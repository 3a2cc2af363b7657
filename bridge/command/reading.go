package command

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	readBatch    = 500
	readPatience = 8 * time.Second // for one batch; less than busPatience
	readIdle     = time.Minute     // then a reading that nobody needs ends
	readPeriod   = 5 * time.Minute // what nobody asked for in two of these is forgotten
)

var errReadingCut = errors.New("the reading was cut short")

// reading reads a stream incrementally and only on demand, once for all who need it. It has no goroutine: who needs to know what is in the
// stream calls upTo, which reads what is new.
type reading struct {
	js     jetstream.JetStream
	stream string
	take   func(jetstream.Msg, *jetstream.MsgMetadata)
	reset  func()                 // forget all that was taken
	forget func(before time.Time) // forget what was stored before a time

	turn     chan struct{} // holds one token
	created  time.Time     // when the stream was made
	from     time.Time     // all that was stored since then has been read, up to last; zero before the first reading
	last     uint64        // sequence in the stream of the last message read; 0 before
	consumer jetstream.Consumer
	expected uint64    // sequence in the consumer of the next message
	began    time.Time // when the last complete reading began
	used     time.Time
	period   period // this one
	former   period // the one before
}

// period is how far back it was asked for the stream for a while.
type period struct{ began, from time.Time }

func newReading(js jetstream.JetStream, stream string) *reading {
	r := &reading{js: js, stream: stream, turn: make(chan struct{}, 1)}
	r.turn <- struct{}{}
	return r
}

// upTo returns when all has been taken that was stored from a time on until the call of upTo, and then runs use, during which nothing
// else is taken.
func (r *reading) upTo(ctx context.Context, from time.Time, use func()) error {
	asked := time.Now()
	select {
	case <-r.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { r.turn <- struct{}{} }()
	r.used = asked
	r.trim(asked, from)
	if r.from.IsZero() || from.Before(r.from) {
		r.restart(ctx, from)
	}
	if !r.began.After(asked) { // nobody has read for us while we waited for our turn
		now := time.Now()
		if err := r.read(ctx); err != nil {
			r.drop(ctx)
			return fmt.Errorf("read %s: %w", r.stream, err)
		}
		r.began = now
	}
	use()
	return nil
}

// trim notes how far back is asked for, and forgets what nobody asked for lately, so that a reading that is always in use does not grow
// for ever. Who asks for it after all has it read again.
func (r *reading) trim(now, from time.Time) {
	if now.Sub(r.period.began) >= readPeriod {
		keep := earlier(r.period.from, r.former.from)
		if !r.from.IsZero() && keep.After(r.from) {
			r.forget(keep)
			r.from = keep
		}
		r.former, r.period = r.period, period{began: now, from: from}
	}
	r.period.from = earlier(r.period.from, from)
}

// earlier returns the earlier of two times; no time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// restart forgets everything and begins at a time.
func (r *reading) restart(ctx context.Context, from time.Time) {
	r.drop(ctx)
	r.reset()
	r.from, r.last, r.began = from, 0, time.Time{}
}

// drop gives the consumer up; the next reading makes one that goes on after the last message read.
func (r *reading) drop(ctx context.Context) {
	if r.consumer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = r.js.DeleteConsumer(ctx, r.stream, r.consumer.CachedInfo().Name) // else the server deletes it when it is idle
	r.consumer = nil
}

// read takes all up to what is the last message of the stream now. The stream itself is asked for that: a consumer learns of new messages only
// a moment after they were acknowledged.
func (r *reading) read(ctx context.Context) error {
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	if created := stream.CachedInfo().Created; !created.Equal(r.created) {
		if r.last > 0 { // it was deleted and made anew, and begins with sequence 1
			r.consumer, r.last = nil, 0
			r.reset()
		}
		r.created = created
	}
	end := stream.CachedInfo().State
	if end.Msgs == 0 || end.LastTime.Before(r.from) {
		return nil
	}
	for r.last < end.LastSeq {
		if r.consumer == nil {
			if err := r.open(ctx); err != nil {
				return err
			}
		}
		info, err := r.consumer.Info(ctx)
		if err != nil {
			return err
		}
		if info.Delivered.Consumer+1 != r.expected {
			return errReadingCut
		}
		if err := r.batch(ctx, int(max(min(info.NumPending, readBatch), 1)), end.LastSeq); err != nil {
			return err
		}
	}
	return nil
}

func (r *reading) open(ctx context.Context) error {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, InactiveThreshold: 2 * readIdle, MemoryStorage: true, Replicas: 1,
	}
	if r.last > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, r.last+1
	} else {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &r.from
	}
	consumer, err := r.js.CreateConsumer(ctx, r.stream, config)
	if err != nil {
		return err
	}
	r.consumer, r.expected = consumer, 1
	return nil
}

// batch takes n messages. If none comes in a long time, the last messages of the stream have been deleted, and there is nothing more to read.
func (r *reading) batch(ctx context.Context, n int, end uint64) error {
	patience, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	batch, err := r.consumer.Fetch(n, jetstream.FetchContext(patience))
	if err != nil {
		return err
	}
	taken := 0
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != r.expected {
			return errReadingCut
		}
		r.expected++
		taken++
		if meta.Sequence.Stream > r.last {
			r.last = meta.Sequence.Stream
			r.take(m, meta)
		}
	}
	if err := batch.Error(); err != nil || taken > 0 {
		return err
	}
	info, err := r.consumer.Info(ctx)
	if err == nil && info.NumPending == 0 && info.Delivered.Consumer+1 == r.expected {
		r.last = max(r.last, end)
	}
	return err
}

// rest ends a reading that nobody has needed for a while, so that nothing is kept for nobody.
func (r *reading) rest(ctx context.Context, now time.Time) {
	select {
	case <-r.turn:
	default:
		return // it is needed right now
	}
	defer func() { r.turn <- struct{}{} }()
	if r.from.IsZero() || now.Sub(r.used) < readIdle {
		return
	}
	r.drop(ctx)
	r.reset()
	r.from, r.last = time.Time{}, 0
}
