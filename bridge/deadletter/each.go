package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

func (f Filter) picks(letter Stored, now time.Time) bool {
	age := now.Sub(letter.StoredAt)
	return (len(f.Reasons) == 0 || slices.Contains(f.Reasons, letter.Reason)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, letter.Status)) &&
		(f.CommandID == "" || headerID(f.CommandID) == letter.CommandID) &&
		(f.OlderThan == 0 || age > f.OlderThan) && (f.NewerThan == 0 || age < f.NewerThan)
}

// each calls do for the letters that the filter picks and that are there now, until it returns false.
func (s *Store) each(ctx context.Context, filter Filter, do func(Stored) (more bool)) error {
	config := jetstream.ConsumerConfig{
		FilterSubject: filter.Subject, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: time.Minute,
	}
	if filter.After > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, filter.After+1
	}
	consumer, err := s.js.CreateConsumer(ctx, s.names.DeadStream(), config)
	if err != nil {
		return err
	}
	failure := s.read(ctx, consumer, filter, do)
	if err := s.js.DeleteConsumer(ctx, s.names.DeadStream(), consumer.CachedInfo().Name); failure == nil {
		return err
	}
	return failure
}

func (s *Store) read(ctx context.Context, consumer jetstream.Consumer, filter Filter, do func(Stored) bool) error {
	pending := consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for delivered := uint64(1); delivered <= pending; delivered++ {
		message, err := next(ctx, consumer, messages)
		if err != nil || message == nil {
			return err
		}
		meta, err := message.Metadata()
		if err != nil {
			return err
		}
		if meta.Sequence.Consumer != delivered {
			return fmt.Errorf("delivery %d instead of %d: a letter was lost on the way", meta.Sequence.Consumer, delivered)
		}
		letter := parse(message.Subject(), message.Headers(), message.Data(), meta.Sequence.Stream, meta.Timestamp)
		if filter.picks(letter, s.now()) && !do(letter) || meta.NumPending == 0 {
			return nil
		}
	}
	return nil
}

// quiet is how long the next letter may take before the server is asked whether there is one: letters may be dropped while they are listed.
const quiet = 3 * time.Second

// next returns the next letter, or nil if there is none any more.
func next(ctx context.Context, consumer jetstream.Consumer, messages jetstream.MessagesContext) (jetstream.Msg, error) {
	for {
		waiting, cancel := context.WithTimeout(ctx, quiet)
		message, err := messages.Next(jetstream.NextContext(waiting))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return message, err
		}
		info, err := consumer.Info(ctx)
		if err != nil {
			return nil, err
		}
		if info.NumPending == 0 {
			return nil, nil
		}
	}
}
