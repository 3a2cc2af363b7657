package command

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// positionKey is where the position of a term stands in the bucket.
	positionKey     = "position"
	positionVersion = 1
	positionPause   = time.Second // between two writes
	positionMost    = 64 << 10    // bytes that the list of open commands takes
	positionMany    = 20_000      // commands in memory: with each so many more the pause is one longer
)

// written is a position that stands in the bucket: all commands up to it have their results, and beyond it those up to another one that are not listed. That
// does not cease to be true while the stream lives, so a record that is behind costs only looking up again what came after it.
type written struct {
	Version int       `json:"v"`
	Epoch   uint64    `json:"epoch"`           // of the term that wrote it, before it had a consumer
	Floor   uint64    `json:"floor"`           // sequence in the stream of commands
	Highest uint64    `json:"reach,omitempty"` // sequence up to which it tells of more; builds before had another list, under highest and open, which is ignored
	Open    sequences `json:"steps,omitempty"` // between them, the commands that have no result, in their order
	Stream  time.Time `json:"stream"`          // when that stream was made; another one has other sequences
	Last    uint64    `json:"last,omitempty"`  // sequence of a command that the stream had, no earlier one than all that it tells of; 0 if that is not known
	At      time.Time `json:"at,omitzero"`     // when the stream stored it; what it stored later has none of the sequences that are meant

	Remembers time.Duration `json:"remembers,omitempty"` // the term's ledger_ttl
	Forgot    time.Time     `json:"forgot,omitzero"`     // of commands from before, the ledger may have forgotten what became of them, whatever ledger_ttl is now
}

// progressed is how far a term is.
type progressed struct {
	floor, highest uint64
	open           sequences // of commands that have no result, of those up to highest
	at             time.Time // when the stream stored the command at highest
}

// sequences are numbers that rise. As JSON they are the first one and the differences, which are shorter.
type sequences []uint64

func (q sequences) MarshalJSON() ([]byte, error) {
	steps, former := make([]uint64, len(q)), uint64(0)
	for i, seq := range q {
		steps[i], former = seq-former, seq
	}
	return json.Marshal(steps)
}

func (q *sequences) UnmarshalJSON(text []byte) error {
	var steps []uint64
	if err := json.Unmarshal(text, &steps); err != nil {
		return err
	}
	for i := 1; i < len(steps); i++ {
		steps[i] += steps[i-1]
	}
	*q = steps
	return nil
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

// believed returns what is written down, unless the stream has lost its end since and given the sequences again. It is [ErrTermOver] if the stream has done
// that since this term took commands in.
func (s *shift) believed(ctx context.Context, stream jetstream.Stream) (written, uint64, error) {
	w, revision, err := s.readPosition(ctx)
	if err != nil {
		return written{}, 0, err
	}
	last, stored := s.held.last()
	own, err := written{Last: last, At: stored}.holds(ctx, stream)
	if err != nil {
		return written{}, 0, err
	}
	if !own {
		return written{}, 0, fmt.Errorf("%w: the stream %s lost its end, and has another command with the sequence %d", ErrTermOver, s.stream, last)
	}
	holds, err := w.holds(ctx, stream)
	if err != nil {
		return written{}, 0, err
	}
	if !holds {
		s.disbelieved.Store(revision)
		s.log.Warn("the stream of commands lost its end, and has given its sequences again; the position that is written down is not used", "position", w.Floor)
		w = w.forget()
	}
	return w, revision, nil
}

// ofLeader has the messages of a stream read from its leader. Any replica may answer otherwise, also one that is behind, and tells the time of a message in
// a header, where the publisher may have written another one.
func ofLeader(stream jetstream.Stream) jetstream.Stream {
	stream.CachedInfo().Config.AllowDirect = false // by this the client library decides how to ask
	return stream
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
	w.Floor, w.Highest, w.Open, w.Last, w.At = 0, 0, nil, 0, time.Time{}
	return w
}

// followed is the position of a term that is at another place. Of what is beyond that, it still tells what the former term has done.
func (w written) followed(at progressed) written {
	w.Floor = max(w.Floor, at.floor)
	if at.highest >= w.Highest {
		w.Highest, w.Open = at.highest, at.open
	}
	if at.highest >= w.Last {
		w.Last, w.At = at.highest, at.at
	}
	first, _ := slices.BinarySearch(w.Open, w.Floor+1)
	if w.Open = w.Open[first:]; w.Highest <= w.Floor {
		w.Highest, w.Open = 0, nil
	}
	return w
}

// equal reports whether it tells the same of commands as another one.
func (w written) equal(other written) bool {
	return w.Floor == other.Floor && w.Highest == other.Highest && w.Last == other.Last && slices.Equal(w.Open, other.Open)
}

// done reports whether the command with a sequence, which the stream stored at a time, has its result for certain.
func (w written) done(seq uint64, stored time.Time) bool {
	if seq > w.Last || stored.After(w.At) { // the stream has lost its end since, and given the sequence again
		return false
	}
	_, open := slices.BinarySearch(w.Open, seq)
	return seq <= w.Floor || seq <= w.Highest && !open
}

// holds reports whether the stream is still the one that the position is about. One that lost its end has given the sequences again.
func (w written) holds(ctx context.Context, stream jetstream.Stream) (bool, error) {
	if w.Last == 0 {
		return true, nil
	}
	m, err := ofLeader(stream).GetMsg(ctx, w.Last)
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // deleted, or beyond the end
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read the command at the position: %w", err)
	}
	return m.Time.Equal(w.At), nil
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
	for ticks := 1; ; ticks++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if ticks%(1+s.held.len()/positionMany) == 0 {
			s.managed(s.notePosition(ctx, busPatience))
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

// notePosition writes the position down, unless it is known to stand there.
func (s *shift) notePosition(ctx context.Context, patience time.Duration) error {
	at := s.held.progressed(int(min(positionMost, s.conn.MaxPayload()/2)))
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

// progressed tells which of the commands that were taken in have no result, as many as take so many bytes as JSON.
func (h *held) progressed(most int) progressed {
	type mark struct {
		seq    uint64
		stored int64
	}
	h.mu.Lock()
	last, open := mark{h.highest, h.latest}, make([]mark, 0, len(h.jobs))
	for seq, j := range h.jobs {
		open = append(open, mark{seq, j.stored})
	}
	h.mu.Unlock()
	slices.SortFunc(open, func(a, b mark) int { return cmp.Compare(a.seq, b.seq) })
	at, size := progressed{open: make(sequences, 0, len(open))}, 0
	for i, m := range open {
		step := m.seq
		if i > 0 {
			step -= open[i-1].seq
		}
		if size += len(strconv.FormatUint(step, 10)) + 1; size > most && i > 0 {
			last = open[i-1]
			break
		}
		at.open = append(at.open, m.seq)
	}
	at.floor, at.highest, at.at = last.seq, last.seq, time.Unix(0, last.stored)
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
