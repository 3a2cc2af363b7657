package deadletter

import (
	"context"
	"errors"
	"fmt"
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
	next, err := s.page(ctx, filter, func(letter Stored) { page.Letters = append(page.Letters, letter) })
	if err != nil {
		return Page{}, err
	}
	page.Next = next
	return page, nil
}

// Summaries does what List does, without holding the bodies of all letters in memory at once. It returns what [Page] has as Next.
func (s *Store) Summaries(ctx context.Context, filter Filter) (all []Summary, next uint64, err error) {
	all = []Summary{}
	next, err = s.page(ctx, filter, func(letter Stored) { all = append(all, letter.Summary()) })
	return all, next, err
}

func (s *Store) page(ctx context.Context, filter Filter, take func(Stored)) (next uint64, err error) {
	taken, last := 0, uint64(0)
	err = s.each(ctx, filter, func(letter Stored) bool {
		if filter.Limit > 0 && taken == filter.Limit {
			next = last
			return false
		}
		take(letter)
		taken, last = taken+1, letter.Seq
		return true
	})
	if err != nil {
		return 0, fmt.Errorf("list dead letters: %w", err)
	}
	return next, nil
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
	return parse(message.Subject, message.Header, message.Data, message.Sequence, message.Time), nil
}

// Drop deletes one letter, or returns [ErrNotFound].
func (s *Store) Drop(ctx context.Context, seq uint64) error {
	stream, err := s.js.Stream(ctx, s.names.DeadStream())
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	err = stream.DeleteMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, missing := s.Get(ctx, seq); errors.Is(missing, ErrNotFound) {
			return missing
		}
	}
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", seq, err)
	}
	return nil
}
