package deadletter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// ErrNotFound says that there is no letter with a sequence, or no longer.
var ErrNotFound = errors.New("no such dead letter")

// Store is the stream of dead letters as an operator uses it.
type Store struct {
	js    jetstream.JetStream
	names subjects.Names
	now   func() time.Time
}

// NewStore returns the store in the stream that names tell. It does no input or output.
func NewStore(js jetstream.JetStream, names subjects.Names) *Store {
	return &Store{js: js, names: names, now: time.Now}
}

// Filter picks letters. A zero filter picks all.
type Filter struct {
	Reasons   []subjects.Reason // one of these; empty for any
	Statuses  []subjects.Status // one of these; empty for any
	Subject   string            // of the letter, with wildcards; empty for any
	CommandID string            // of the command; empty for any
	OlderThan time.Duration     // stored longer ago than this; 0 for any
	NewerThan time.Duration     // stored less long ago than this; 0 for any
	After     uint64            // sequence greater than this
	Limit     int               // as many at most; 0 for no limit
}

// Page is a part of a list.
type Page struct {
	Letters []Stored
	Next    uint64 // give it as After to get the next page; 0 if there is no more
}

// List returns letters in the order of their sequences.
func (s *Store) List(ctx context.Context, filter Filter) (Page, error) {
	var page Page
	err := s.each(ctx, filter, func(letter Stored) (bool, error) {
		if filter.Limit > 0 && len(page.Letters) == filter.Limit {
			page.Next = page.Letters[filter.Limit-1].Seq
			return false, nil
		}
		page.Letters = append(page.Letters, letter)
		return true, nil
	})
	if err != nil {
		return Page{}, fmt.Errorf("list dead letters: %w", err)
	}
	return page, nil
}

// Get returns one letter, or [ErrNotFound].
func (s *Store) Get(ctx context.Context, seq uint64) (Stored, error) {
	stream, err := s.js.Stream(ctx, s.names.DeadStream())
	if err != nil {
		return Stored{}, fmt.Errorf("dead letter %d: %w", seq, err)
	}
	message, err := stream.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Stored{}, fmt.Errorf("dead letter %d: %w", seq, ErrNotFound)
	}
	if err != nil {
		return Stored{}, fmt.Errorf("dead letter %d: %w", seq, err)
	}
	return parse(message.Subject, message.Header, message.Data, message.Sequence, message.Time)
}

// Drop deletes one letter, or returns [ErrNotFound].
func (s *Store) Drop(ctx context.Context, seq uint64) error {
	if _, err := s.Get(ctx, seq); errors.Is(err, ErrNotFound) {
		return err
	}
	stream, err := s.js.Stream(ctx, s.names.DeadStream())
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	if err := stream.DeleteMsg(ctx, seq); err != nil {
		return fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	return nil
}

func (f Filter) picks(letter Stored, now time.Time) bool {
	age := now.Sub(letter.StoredAt)
	return (len(f.Reasons) == 0 || slices.Contains(f.Reasons, letter.Reason)) &&
		(len(f.Statuses) == 0 || slices.Contains(f.Statuses, letter.Status)) &&
		(f.CommandID == "" || f.CommandID == letter.CommandID) &&
		(f.OlderThan == 0 || age > f.OlderThan) && (f.NewerThan == 0 || age < f.NewerThan)
}

// each calls do for the letters that the filter picks and that are there now, until it returns false.
func (s *Store) each(ctx context.Context, filter Filter, do func(Stored) (more bool, err error)) error {
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

func (s *Store) read(ctx context.Context, consumer jetstream.Consumer, filter Filter, do func(Stored) (bool, error)) error {
	pending := consumer.CachedInfo().NumPending
	if pending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(100))
	if err != nil {
		return err
	}
	defer messages.Stop()
	for delivered := uint64(1); ; delivered++ {
		letter, left, err := next(ctx, messages, delivered)
		if err != nil {
			return err
		}
		if filter.picks(letter, s.now()) {
			if more, err := do(letter); err != nil || !more {
				return err
			}
		}
		if left == 0 || delivered >= pending {
			return nil
		}
	}
}

// next returns the next letter, and how many are left. It fails when one was lost on the way.
func next(ctx context.Context, messages jetstream.MessagesContext, delivery uint64) (Stored, uint64, error) {
	message, err := messages.Next(jetstream.NextContext(ctx))
	if err != nil {
		return Stored{}, 0, err
	}
	meta, err := message.Metadata()
	if err != nil {
		return Stored{}, 0, err
	}
	if meta.Sequence.Consumer != delivery {
		return Stored{}, 0, fmt.Errorf("delivery %d of dead letters instead of %d: try again", meta.Sequence.Consumer, delivery)
	}
	letter, err := parse(message.Subject(), message.Headers(), message.Data(), meta.Sequence.Stream, meta.Timestamp)
	return letter, meta.NumPending, err
}
