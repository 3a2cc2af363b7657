package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// Bounds of what one request may ask for; whoever wants more asks again.
const (
	defaultLetters = 100
	mostLetters    = 1000
	frame          = 1 << 10 // bytes of an answer beside its rows
)

// LettersRequest is the request of bridge.dead.list: it picks dead letters.
type LettersRequest struct {
	Reasons   []subjects.Reason `json:"reasons"`
	Statuses  []subjects.Status `json:"statuses"`
	Subject   string            `json:"subject"`
	CommandID string            `json:"command_id"`
	OlderThan string            `json:"older_than"` // a duration such as 90m
	NewerThan string            `json:"newer_than"`
	After     uint64            `json:"after"`
	Limit     int               `json:"limit"` // 0 for 100
}

func (r LettersRequest) filter() (deadletter.Filter, error) {
	f := deadletter.Filter{Reasons: r.Reasons, Statuses: r.Statuses, Subject: r.Subject, CommandID: r.CommandID, After: r.After, Limit: r.Limit}
	if f.Limit == 0 {
		f.Limit = defaultLetters
	}
	if f.Limit < 0 || f.Limit > mostLetters {
		return f, fmt.Errorf("%w: limit must be from 1 to %d, not %d", rpc.ErrRequest, mostLetters, r.Limit)
	}
	for _, reason := range r.Reasons {
		if !slices.Contains(subjects.Reasons(), reason) {
			return f, fmt.Errorf("%w: reasons: there is no %q", rpc.ErrRequest, reason)
		}
	}
	for _, status := range r.Statuses {
		if !slices.Contains(subjects.Statuses(), status) {
			return f, fmt.Errorf("%w: statuses: there is no %q", rpc.ErrRequest, status)
		}
	}
	var older, newer error
	f.OlderThan, older = ageOf("older_than", r.OlderThan)
	f.NewerThan, newer = ageOf("newer_than", r.NewerThan)
	return f, errors.Join(older, newer)
}

// Letters is the answer to bridge.dead.list.
type Letters struct {
	Letters []deadletter.Summary `json:"letters"`
	Next    uint64               `json:"next,omitempty"` // to be given as after for what was left out; 0 if nothing was
}

// deadList tells as many letters as were asked for, or as fit into one message.
func (b *busQueries) deadList(ctx context.Context, request []byte) (any, error) {
	var r LettersRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	var all Letters
	if all.Letters, all.Next, err = b.letters.Summaries(ctx, filter); err != nil {
		return nil, err
	}
	return all.within(b.js.Conn().MaxPayload())
}

// within leaves out what does not fit into a message of so many bytes, but for the first letter.
func (l Letters) within(most int64) (Letters, error) {
	size := int64(frame)
	for i, letter := range l.Letters {
		encoded, err := json.Marshal(letter)
		if err != nil {
			return l, fmt.Errorf("dead letter %d: %w", letter.Sequence, err)
		}
		if size += int64(len(encoded)) + 1; size > most && i > 0 {
			return Letters{Letters: l.Letters[:i], Next: l.Letters[i-1].Sequence}, nil
		}
	}
	return l, nil
}

// ShowRequest is the request of bridge.dead.show. The body of a letter may hold personal data, and is told only if that is asked for.
type ShowRequest struct {
	Sequence uint64 `json:"sequence"`
	Body     bool   `json:"body"`
}

// deadShow tells of one dead letter, in a [deadletter.Document]: why, and each attempt.
func (b *busQueries) deadShow(ctx context.Context, request []byte) (any, error) {
	var r ShowRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if r.Sequence == 0 {
		return nil, fmt.Errorf("%w: sequence is needed", rpc.ErrRequest)
	}
	letter, err := b.letters.Get(ctx, r.Sequence)
	if errors.Is(err, deadletter.ErrNotFound) {
		return nil, &rpc.NotFoundError{Err: err}
	}
	if err != nil {
		return nil, err
	}
	return letter.Document(r.Body), nil
}

// ReplayRequest is the request of bridge.dead.replay.
type ReplayRequest struct {
	Sequences []uint64 `json:"sequences"`
	Keep      bool     `json:"keep"`    // keep the letters
	DryRun    bool     `json:"dry_run"` // change nothing
}

// Replayed is the answer to bridge.dead.replay.
type Replayed struct {
	DryRun  bool          `json:"dry_run"`
	Letters []ReplayedRow `json:"letters"`
}

// ReplayedRow tells what became of a letter.
type ReplayedRow struct {
	Sequence  uint64 `json:"sequence"`
	CommandID string `json:"command_id,omitempty"` // of the letter
	ReplayID  string `json:"replay_id,omitempty"`  // of the new command, if it is known to be stored
	Error     string `json:"error,omitempty"`      // why the letter was not replayed, or not deleted afterwards
	Failed    bool   `json:"failed,omitempty"`     // the bus failed: without a replay_id it is not known whether the command was published
}

// deadReplay replays the letters that a request names. What became of each is told, also when one fails, because the others are not undone.
func (b *busQueries) deadReplay(ctx context.Context, request []byte) (any, error) {
	var r ReplayRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if len(r.Sequences) == 0 || len(r.Sequences) > mostLetters {
		return nil, fmt.Errorf("%w: sequences must be 1 to %d numbers", rpc.ErrRequest, mostLetters)
	}
	seen := map[uint64]bool{}
	done := Replayed{DryRun: r.DryRun, Letters: []ReplayedRow{}}
	for _, seq := range r.Sequences {
		if seen[seq] {
			continue
		}
		seen[seq] = true
		row := ReplayedRow{Sequence: seq}
		if err := b.replay(ctx, r, &row); err != nil {
			row.Error = err.Error()
			row.Failed = !errors.Is(err, deadletter.ErrNotReplayable) && !errors.Is(err, deadletter.ErrNotFound)
		}
		done.Letters = append(done.Letters, row)
	}
	return done, nil
}

func (b *busQueries) replay(ctx context.Context, r ReplayRequest, row *ReplayedRow) error {
	letter, err := b.letters.Get(ctx, row.Sequence)
	if err != nil {
		return err
	}
	row.CommandID = letter.CommandID
	if r.DryRun {
		return b.letters.Replayable(letter)
	}
	if row.ReplayID, err = b.letters.Replay(ctx, letter, r.Keep); err != nil || r.Keep {
		return err
	}
	if err := b.letters.Drop(ctx, row.Sequence); !errors.Is(err, deadletter.ErrNotFound) {
		return err
	}
	return nil
}

// DropRequest is the request of bridge.dead.drop.
type DropRequest struct {
	Sequences []uint64 `json:"sequences"`
	DryRun    bool     `json:"dry_run"` // change nothing
}

// Dropped is the answer to bridge.dead.drop.
type Dropped struct {
	DryRun  bool         `json:"dry_run"`
	Letters []DroppedRow `json:"letters"`
}

// DroppedRow tells what became of a letter.
type DroppedRow struct {
	Sequence uint64 `json:"sequence"`
	Error    string `json:"error,omitempty"` // why it is still there, or was not there
	Gone     bool   `json:"gone,omitempty"`  // it was not there
}

// deadDrop deletes the letters that a request names, for good.
func (b *busQueries) deadDrop(ctx context.Context, request []byte) (any, error) {
	var r DropRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if len(r.Sequences) == 0 || len(r.Sequences) > mostLetters {
		return nil, fmt.Errorf("%w: sequences must be 1 to %d numbers", rpc.ErrRequest, mostLetters)
	}
	drop := b.letters.Drop
	if r.DryRun {
		drop = func(ctx context.Context, seq uint64) error { _, err := b.letters.Get(ctx, seq); return err }
	}
	done := Dropped{DryRun: r.DryRun, Letters: []DroppedRow{}}
	for _, seq := range r.Sequences {
		row := DroppedRow{Sequence: seq}
		if err := drop(ctx, seq); err != nil {
			row.Error, row.Gone = err.Error(), errors.Is(err, deadletter.ErrNotFound)
		}
		done.Letters = append(done.Letters, row)
	}
	return done, nil
}
