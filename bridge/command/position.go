package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// positionKey is where the position of a term stands in the bucket.
	positionKey     = "position"
	positionVersion = 1
	positionPause   = 5 * time.Second // between two writes
	openMost        = 500             // commands that are listed
)

// written is a position that stands in the bucket: all commands up to it have their results, and beyond it those up to another one that are not listed. That
// does not cease to be true, so a record that is behind costs only looking up again what came after it.
type written struct {
	Version int       `json:"v"`
	Epoch   uint64    `json:"epoch"`             // of the term that wrote it, before it had a consumer
	Floor   uint64    `json:"floor"`             // sequence in the stream of commands
	Highest uint64    `json:"highest,omitempty"` // sequence up to which it tells of more
	Open    []uint64  `json:"open,omitempty"`    // between them, the commands that have no result, in their order
	Stream  time.Time `json:"stream"`            // when that stream was made; another one has other sequences

	Remembers time.Duration `json:"remembers,omitempty"` // the term's ledger_ttl
	Forgot    time.Time     `json:"forgot,omitzero"`     // of commands from before, the ledger may have forgotten what became of them, whatever ledger_ttl is now
}

// progressed is how far a term is.
type progressed struct {
	floor, highest uint64
	open           []uint64 // sequences of commands that have no result, of those up to highest
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
	if !w.Stream.Equal(s.reader.created) || entry.Revision() <= s.disbelieved.Load() {
		w = w.forget()
	}
	return w, entry.Revision(), nil
}

// writePosition writes down how far the term is. It is [ErrTermOver] if a later term has written.
func (s *shift) writePosition(ctx context.Context, at progressed) error {
	former, revision, err := s.readPosition(ctx)
	if err != nil {
		return err
	}
	if former.Epoch > s.epochNumber {
		return fmt.Errorf("%w: epoch %d has written its position", ErrTermOver, former.Epoch)
	}
	now := former.followed(at)
	now.Version, now.Epoch, now.Stream = positionVersion, s.epochNumber, s.reader.created
	now.Remembers, now.Forgot = s.cfg.LedgerTTL, former.forgotten(s.cfg.LedgerTTL, time.Now())
	s.forgot.Store(now.Forgot.UnixNano())
	if former.Epoch == s.epochNumber && former.Stream.Equal(now.Stream) && now.equal(former) {
		return nil
	}
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

// forget leaves out what is about the sequences of a stream.
func (w written) forget() written {
	w.Floor, w.Highest, w.Open = 0, 0, nil
	return w
}

// followed is the position of a term that is at another place. Of what is beyond that, it still tells what the former term has done.
func (w written) followed(at progressed) written {
	w.Floor = max(w.Floor, at.floor)
	if at.highest >= w.Highest {
		w.Highest, w.Open = at.highest, at.open
	}
	first, _ := slices.BinarySearch(w.Open, w.Floor+1)
	if w.Open = w.Open[first:]; w.Highest <= w.Floor {
		w.Highest, w.Open = 0, nil
	}
	return w
}

// equal reports whether it tells the same of commands as another one.
func (w written) equal(other written) bool {
	return w.Floor == other.Floor && w.Highest == other.Highest && slices.Equal(w.Open, other.Open)
}

// done reports whether the command with a sequence has its result for certain.
func (w written) done(seq uint64) bool {
	_, open := slices.BinarySearch(w.Open, seq)
	return seq <= w.Floor || seq <= w.Highest && !open
}

// forgotten is the time before which the ledger may have forgotten commands, when ledger_ttl is what it is: a ledger that remembered for a shorter time does
// not learn again what it has forgotten.
func (w written) forgotten(ttl time.Duration, now time.Time) time.Time {
	if before := now.Add(-remembers(w.Remembers)); w.Remembers > 0 && w.Remembers < ttl && before.After(w.Forgot) {
		return before
	}
	return w.Forgot
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
	purge := time.Now().Add(purgeFirst)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.managed(s.notePosition(ctx, busPatience))
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

// notePosition writes the position down, unless it is known to stand there.
func (s *shift) notePosition(ctx context.Context, patience time.Duration) error {
	at := s.held.progressed()
	if at.highest == 0 || s.noted.highest == at.highest && s.noted.floor == at.floor && len(s.noted.open) == len(at.open) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.writePosition(ctx, at); err != nil {
		return err
	}
	s.noted = at
	return nil
}

// progressed tells which of the commands that were taken in have no result, at most openMost of them.
func (h *held) progressed() progressed {
	h.mu.Lock()
	at := progressed{highest: h.highest, open: slices.Collect(maps.Keys(h.jobs))}
	h.mu.Unlock()
	slices.Sort(at.open)
	if len(at.open) > openMost {
		at.highest, at.open = at.open[openMost]-1, at.open[:openMost]
	}
	at.floor = at.highest
	if len(at.open) > 0 {
		at.floor = at.open[0] - 1
	}
	return at
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
