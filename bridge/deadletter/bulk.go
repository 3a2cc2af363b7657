package deadletter

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/time/rate"
)

// Replayed tells what became of one letter in a replay.
type Replayed struct {
	Letter    Stored
	CommandID string // of the new command; empty in a dry run
	Err       error  // why this letter cannot be replayed; nil if it was, or would be but for a dry run
}

// Bulk tells how many letters are replayed.
type Bulk struct {
	PerSecond float64 // letters a second; 0 for no limit
	DryRun    bool    // publish and drop nothing
	Drop      bool    // delete a letter after its command was published
}

// ReplayAll replays the letters that the filter picks, in order, and tells report about each. A letter that cannot be replayed does not
// stop it; an error of the bus, or of report, does. Letters that come while it runs, such as those of commands that fail again, are not
// replayed.
func (s *Store) ReplayAll(ctx context.Context, filter Filter, bulk Bulk, report func(Replayed) error) error {
	limit := rate.NewLimiter(rate.Inf, 1)
	if bulk.PerSecond > 0 {
		limit.SetLimit(rate.Limit(bulk.PerSecond))
	}
	return s.all(ctx, filter, func(letter Stored) error { return s.replayOne(ctx, letter, bulk, limit, report) })
}

func (s *Store) replayOne(ctx context.Context, letter Stored, bulk Bulk, limit *rate.Limiter, report func(Replayed) error) error {
	message, err := s.command(letter, !bulk.Drop)
	if err != nil {
		return report(Replayed{Letter: letter, Err: err})
	}
	if bulk.DryRun {
		return report(Replayed{Letter: letter})
	}
	if err := limit.Wait(ctx); err != nil {
		return fmt.Errorf("replay dead letter %d: %w", letter.Seq, err)
	}
	id, err := s.publish(ctx, letter, message)
	if err != nil {
		return err
	}
	if bulk.Drop {
		if err := s.Drop(ctx, letter.Seq); err != nil && !errors.Is(err, ErrNotFound) {
			return errors.Join(err, report(Replayed{Letter: letter, CommandID: id}))
		}
	}
	return report(Replayed{Letter: letter, CommandID: id})
}

// DropAll deletes the letters that the filter picks, in order, and tells report about each; in a dry run it only tells. An error of the bus,
// or of report, stops it.
func (s *Store) DropAll(ctx context.Context, filter Filter, dryRun bool, report func(Stored) error) error {
	return s.all(ctx, filter, func(letter Stored) error {
		if !dryRun {
			if err := s.Drop(ctx, letter.Seq); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		return report(letter)
	})
}

// pageSize is how many letters are held in memory at once.
const pageSize = 100

// all calls do for the letters that the filter picks and that were there at the beginning.
func (s *Store) all(ctx context.Context, filter Filter, do func(Stored) error) error {
	last, err := s.last(ctx)
	if err != nil {
		return err
	}
	left := filter.Limit
	for {
		filter.Limit = pageSize
		if left > 0 {
			filter.Limit = min(left, pageSize)
		}
		page, err := s.List(ctx, filter)
		if err != nil {
			return err
		}
		for _, letter := range page.Letters {
			if letter.Seq > last {
				return nil
			}
			if err := do(letter); err != nil {
				return err
			}
		}
		if page.Next == 0 || left > 0 && left == len(page.Letters) {
			return nil
		}
		filter.After, left = page.Next, left-len(page.Letters)
	}
}

// last returns the sequence of the newest letter.
func (s *Store) last(ctx context.Context) (uint64, error) {
	stream, err := s.js.Stream(ctx, s.names.DeadStream())
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", err)
	}
	return stream.CachedInfo().State.LastSeq, nil
}
