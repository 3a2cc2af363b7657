package explain

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	batchHeaders = 1000 // messages that are asked for at once without their bodies
	batchBodies  = 50
	batchLimit   = 10 * time.Second
)

// errCut says that deliveries got lost on the way; the scan goes on behind the last one that came.
var errCut = errors.New("the scan was cut short")

// scan reads what a stream has when it begins.
type scan struct {
	stream  string
	filter  string // subject with wildcards; empty for all
	bodies  bool
	since   time.Time // nothing older; zero for all
	take    func(jetstream.Msg, *jetstream.MsgMetadata)
	last    uint64 // sequence of the last message taken
	expects uint64 // number of the next delivery
}

func (s *scan) run(ctx context.Context, js jetstream.JetStream) error {
	for {
		err := s.attempt(ctx, js)
		if err == nil || ctx.Err() != nil || !errors.Is(err, errCut) {
			if err != nil {
				return fmt.Errorf("read stream %s: %w", s.stream, err)
			}
			return nil
		}
	}
}

func (s *scan) attempt(ctx context.Context, js jetstream.JetStream) (err error) {
	config := jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute, HeadersOnly: !s.bodies,
		FilterSubject: s.filter,
	}
	if !s.since.IsZero() {
		config.DeliverPolicy, config.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.since
	}
	if s.last > 0 {
		config.OptStartTime = nil
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.last+1
	}
	consumer, err := js.CreateConsumer(ctx, s.stream, config)
	if err != nil {
		return err
	}
	s.expects = 1
	err = s.read(ctx, consumer)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = js.DeleteConsumer(end, s.stream, consumer.CachedInfo().Name) // else the server deletes it when it is idle
	return err
}

// read takes everything up to the end of the stream. Where that is the server tells, so that a slow machine is not taken for it.
func (s *scan) read(ctx context.Context, consumer jetstream.Consumer) error {
	pending := consumer.CachedInfo().NumPending
	for pending > 0 {
		left, came, err := s.batch(ctx, consumer, pending)
		if err != nil {
			return err
		}
		pending = left
		if came {
			continue
		}
		info, err := consumer.Info(ctx)
		if err != nil {
			return err
		}
		if info.Delivered.Consumer+1 != s.expects {
			return errCut
		}
		pending = info.NumPending
	}
	return nil
}

// batch takes some messages and tells how many are left, and whether any came.
func (s *scan) batch(ctx context.Context, consumer jetstream.Consumer, pending uint64) (left uint64, came bool, err error) {
	size := batchHeaders
	if s.bodies {
		size = batchBodies
	}
	limit, cancel := context.WithTimeout(ctx, batchLimit)
	defer cancel()
	batch, err := consumer.Fetch(int(min(pending, uint64(size))), jetstream.FetchContext(limit))
	if err != nil {
		return 0, false, err
	}
	left = pending
	for m := range batch.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return 0, false, err
		}
		if meta.Sequence.Consumer != s.expects {
			return 0, false, errCut
		}
		s.expects++
		s.last, left, came = meta.Sequence.Stream, meta.NumPending, true
		s.take(m, meta)
	}
	if ctx.Err() != nil {
		return 0, false, ctx.Err()
	}
	if !came && batch.Error() != nil && !errors.Is(batch.Error(), context.DeadlineExceeded) {
		return 0, false, batch.Error()
	}
	return left, came, nil
}
