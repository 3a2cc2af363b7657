package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// positionKey is where the position of a term stands in the bucket.
	positionKey     = "position"
	positionVersion = 1
	positionPause   = 5 * time.Second // between two writes
)

// written is a position that stands in the bucket: all commands up to it have their results. That does not cease to be true, so a record that is behind
// costs only looking up again what came after it.
type written struct {
	Version int       `json:"v"`
	Epoch   uint64    `json:"epoch"`  // of the term that wrote it, before it had a consumer
	Floor   uint64    `json:"floor"`  // sequence in the stream of commands
	Stream  time.Time `json:"stream"` // when that stream was made; another one has other sequences
}

// readPosition returns what is written down, and the revision of it; the zero position if nothing is, or nothing that can be read.
func (s *shift) readPosition(ctx context.Context) (written, uint64, error) {
	entry, err := s.bucket.Get(ctx, positionKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return written{}, 0, nil
	}
	if err != nil {
		return written{}, 0, fmt.Errorf("read position: %w", err)
	}
	var w written
	if err := json.Unmarshal(entry.Value(), &w); err != nil || w.Version != positionVersion {
		return written{}, entry.Revision(), nil
	}
	if !w.Stream.Equal(s.reader.created) {
		w.Floor = 0
	}
	return w, entry.Revision(), nil
}

// writePosition writes down that all was done with up to a sequence. It is [ErrTermOver] if a later term has written.
func (s *shift) writePosition(ctx context.Context, floor uint64) error {
	former, revision, err := s.readPosition(ctx)
	switch {
	case err != nil:
		return err
	case former.Epoch > s.epochNumber:
		return fmt.Errorf("%w: epoch %d has written its position", ErrTermOver, former.Epoch)
	case former.Epoch == s.epochNumber && former.Floor >= floor:
		return nil
	}
	now := written{Version: positionVersion, Epoch: s.epochNumber, Floor: max(floor, former.Floor), Stream: s.reader.created}
	body, err := json.Marshal(now)
	if err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	if revision == 0 {
		_, err = s.bucket.Create(ctx, positionKey, body)
	} else {
		_, err = s.bucket.Update(ctx, positionKey, body, revision)
	}
	if err != nil {
		return fmt.Errorf("write position: %w", err)
	}
	return nil
}

// covers reports whether it was written by a term that had, or was about to have, a consumer, or by a later one.
func (w written) covers(consumer string, stream time.Time) bool {
	epoch, ours := epochOf(consumer)
	return ours && w.Epoch >= epoch && w.Stream.Equal(stream)
}

// upkeep keeps the position that is written down up to date, and deletes consumers that did not answer at the take-over, and old commands, until ctx ends.
func (s *shift) upkeep(ctx context.Context) {
	tick := time.NewTicker(positionPause)
	defer tick.Stop()
	last, purge := uint64(0), time.Now().Add(purgeFirst)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if floor, _ := s.held.floor(); floor > last && s.managed(s.notePosition(ctx, floor)) {
			last = floor
		}
		if s.leftover.Load() {
			s.managed(s.sweep(ctx))
		}
		if time.Now().After(purge) {
			if purge = time.Now().Add(purgeFirst); s.managed(s.purge(ctx)) {
				purge = time.Now().Add(purgePause)
			}
		}
	}
}

func (s *shift) notePosition(ctx context.Context, floor uint64) error {
	ctx, cancel := context.WithTimeout(ctx, busPatience)
	defer cancel()
	return s.writePosition(ctx, floor)
}

// managed deals with the outcome of something that is tried again later if it fails.
func (s *shift) managed(err error) bool {
	switch {
	case errors.Is(err, ErrTermOver):
		s.finish(err)
	case err != nil:
		s.complain("the stream of commands is not kept in order", err)
	}
	return err == nil
}
