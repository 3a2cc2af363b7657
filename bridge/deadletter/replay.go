package deadletter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"
	"golang.org/x/time/rate"

	"github.com/cxbridge/cxbridge/subjects"
)

// ErrNotReplayable says that a letter is no command, and so cannot be published as one.
var ErrNotReplayable = errors.New("only commands can be replayed")

// Replayed tells what became of one letter in a replay.
type Replayed struct {
	Letter    Stored
	CommandID string // of the new command; in a dry run, empty
	Err       error  // why this letter was not replayed; nil if it was, or would be in a dry run
}

// Bulk tells how many letters are replayed.
type Bulk struct {
	PerSecond float64 // letters a second; 0 for no limit
	DryRun    bool    // publish and drop nothing
	Drop      bool    // delete a letter after its command was published
}

// Replay publishes the original of a letter as a new command with an id of its own, so that it is carried out although the ledger knows the
// original. It returns the new id.
func (s *Store) Replay(ctx context.Context, letter Stored) (commandID string, err error) {
	message, err := s.command(letter)
	if err != nil {
		return "", fmt.Errorf("replay dead letter %d: %w", letter.Seq, err)
	}
	if _, err := s.js.PublishMsg(ctx, message, jetstream.WithExpectStream(s.names.CommandsStream())); err != nil {
		return "", fmt.Errorf("replay dead letter %d: %w", letter.Seq, err)
	}
	return message.Header.Get(subjects.HeaderMsgID), nil
}

// ReplayAll replays the letters that the filter picks, in order, and tells report about each. A letter that cannot be replayed does not
// stop it; an error of the bus, or of report, does.
func (s *Store) ReplayAll(ctx context.Context, filter Filter, bulk Bulk, report func(Replayed) error) error {
	limit := rate.NewLimiter(rate.Inf, 1)
	if bulk.PerSecond > 0 {
		limit.SetLimit(rate.Limit(bulk.PerSecond))
	}
	const pageSize = 100
	left := filter.Limit
	for {
		page := filter
		page.Limit = pageSize
		if left > 0 {
			page.Limit = min(left, pageSize)
		}
		found, err := s.List(ctx, page)
		if err != nil {
			return err
		}
		for _, letter := range found.Letters {
			if err := s.replayOne(ctx, letter, bulk, limit, report); err != nil {
				return err
			}
		}
		if found.Next == 0 || filter.Limit > 0 && left == len(found.Letters) {
			return nil
		}
		filter.After, left = found.Next, left-len(found.Letters)
	}
}

func (s *Store) replayOne(ctx context.Context, letter Stored, bulk Bulk, limit *rate.Limiter, report func(Replayed) error) error {
	if _, err := s.command(letter); err != nil {
		return report(Replayed{Letter: letter, Err: fmt.Errorf("replay dead letter %d: %w", letter.Seq, err)})
	}
	if bulk.DryRun {
		return report(Replayed{Letter: letter})
	}
	if err := limit.Wait(ctx); err != nil {
		return err
	}
	id, err := s.Replay(ctx, letter)
	if err != nil {
		return err
	}
	if bulk.Drop {
		if err := s.Drop(ctx, letter.Seq); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return report(Replayed{Letter: letter, CommandID: id})
}

// command makes the new command. The original's expiry is left out if it has passed: whoever replays the command wants it done now.
func (s *Store) command(letter Stored) (*nats.Msg, error) {
	if _, _, ok := s.names.ParseCommand(letter.Original.Subject); !ok {
		if letter.Original.Subject == "" {
			return nil, fmt.Errorf("%w: %s is a webhook", ErrNotReplayable, letter.Subject)
		}
		return nil, fmt.Errorf("%w: %s is not the subject of one", ErrNotReplayable, letter.Original.Subject)
	}
	header := keep(letter.Original.Header)
	header.Set(subjects.HeaderMsgID, "replay-"+nuid.Next())
	header.Set(subjects.HeaderReplayOf, letter.CommandID)
	if expires, err := time.Parse(time.RFC3339, header.Get(subjects.HeaderExpiresAt)); err == nil && !expires.After(s.now()) {
		header.Del(subjects.HeaderExpiresAt)
	}
	return &nats.Msg{Subject: letter.Original.Subject, Header: header, Data: letter.Original.Data}, nil
}
