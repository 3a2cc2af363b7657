package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// Bounds of what one request may ask for; whoever wants more asks again.
const (
	defaultLetters = 100
	mostLetters    = 1000
)

// operate returns the queries by which operators look and act: over the bus, on the console, and the same that the command line does.
func (p *process) operate(ready *readiness) map[string]rpc.Query {
	return map[string]rpc.Query{
		"bridge.status":      p.status(ready),
		"bridge.lanes":       p.lanes,
		"bridge.streams":     p.streams,
		"bridge.config":      p.configuration,
		"bridge.pause":       p.turn((*pause.Switch).Pause),
		"bridge.resume":      p.turn((*pause.Switch).Resume),
		"bridge.explain":     p.explain,
		"bridge.dead.list":   p.deadList,
		"bridge.dead.show":   p.deadShow,
		"bridge.dead.replay": p.deadReplay,
		"bridge.dead.drop":   p.deadDrop,
	}
}

// parse reads a request strictly; an empty one asks for the defaults.
func parse(request []byte, into any) error {
	if len(bytes.TrimSpace(request)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(request))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("request: must be one JSON object")
	}
	return nil
}

// turnRequest is the request of bridge.pause and bridge.resume.
type turnRequest struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// turned is the answer to them.
type turned struct {
	pause.State
	Changed bool `json:"changed"`
}

func (p *process) turn(turn func(s *pause.Switch, ctx context.Context, by, reason string) (pause.State, bool, error)) rpc.Query {
	return func(ctx context.Context, request []byte) (any, error) {
		r := turnRequest{By: "cx.rpc"}
		if err := parse(request, &r); err != nil {
			return nil, err
		}
		s, err := p.pauseSwitch(ctx)
		if err != nil {
			return nil, err
		}
		state, changed, err := turn(s, ctx, r.By, r.Reason)
		return turned{State: state, Changed: changed}, err
	}
}

// newestTold is how far back the story of a conversation goes unless the request says.
const newestTold = 24 * time.Hour

func (p *process) explain(ctx context.Context, request []byte) (any, error) {
	var r struct {
		ID           string      `json:"id"`
		Conversation subjects.ID `json:"conversation_id"`
		NewerThan    string      `json:"newer_than"` // of a conversation: a duration such as 90m
	}
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if (r.ID == "") == r.Conversation.IsZero() {
		return nil, errors.New("request: id is needed, or conversation_id")
	}
	e := explain.New(p.broker.JetStream(), p.names)
	if r.ID != "" {
		return e.Explain(ctx, r.ID)
	}
	newer, err := ageOf("newer_than", r.NewerThan)
	if err != nil {
		return nil, err
	}
	if newer == 0 {
		newer = newestTold
	}
	return e.Conversation(ctx, r.Conversation.String(), time.Now().Add(-newer))
}

// lettersRequest picks dead letters.
type lettersRequest struct {
	Reasons   []subjects.Reason `json:"reasons"`
	Statuses  []subjects.Status `json:"statuses"`
	Subject   string            `json:"subject"`
	CommandID string            `json:"command_id"`
	OlderThan string            `json:"older_than"` // a duration such as 90m
	NewerThan string            `json:"newer_than"`
	After     uint64            `json:"after"`
	Limit     int               `json:"limit"`
}

func (r lettersRequest) filter() (deadletter.Filter, error) {
	f := deadletter.Filter{Reasons: r.Reasons, Statuses: r.Statuses, Subject: r.Subject, CommandID: r.CommandID, After: r.After, Limit: r.Limit}
	if f.Limit == 0 {
		f.Limit = defaultLetters
	}
	if f.Limit < 0 || f.Limit > mostLetters {
		return f, fmt.Errorf("request: limit must be from 1 to %d, not %d", mostLetters, r.Limit)
	}
	for _, reason := range r.Reasons {
		if !slices.Contains(subjects.Reasons(), reason) {
			return f, fmt.Errorf("request: reasons: there is no %q", reason)
		}
	}
	for _, status := range r.Statuses {
		if !slices.Contains(subjects.Statuses(), status) {
			return f, fmt.Errorf("request: statuses: there is no %q", status)
		}
	}
	var older, newer error
	f.OlderThan, older = ageOf("older_than", r.OlderThan)
	f.NewerThan, newer = ageOf("newer_than", r.NewerThan)
	return f, errors.Join(older, newer)
}

func ageOf(member, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("request: %s must be a duration such as 90m, not %q", member, text)
	}
	return d, nil
}

// letterRows is the answer to bridge.dead.list.
type letterRows struct {
	Letters []deadletter.Summary `json:"letters"`
	Next    uint64               `json:"next,omitempty"` // to be given as after for what the limit left out
}

func (p *process) deadList(ctx context.Context, request []byte) (any, error) {
	var r lettersRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	filter, err := r.filter()
	if err != nil {
		return nil, err
	}
	page, err := deadletter.NewStore(p.broker.JetStream(), p.names).List(ctx, filter)
	rows := letterRows{Letters: make([]deadletter.Summary, 0, len(page.Letters)), Next: page.Next}
	for _, letter := range page.Letters {
		rows.Letters = append(rows.Letters, letter.Summary())
	}
	return rows, err
}

// replayRequest is the request of bridge.dead.replay.
type replayRequest struct {
	Sequences []uint64 `json:"sequences"`
	Keep      bool     `json:"keep"`    // keep the letters
	DryRun    bool     `json:"dry_run"` // change nothing
}

// replayedRow tells what became of a letter.
type replayedRow struct {
	Sequence  uint64 `json:"sequence"`
	CommandID string `json:"command_id,omitempty"` // of the letter
	ReplayID  string `json:"replay_id,omitempty"`  // of the new command
	Error     string `json:"error,omitempty"`      // why the letter was not replayed, or not deleted afterwards
}

// deadReplay replays the letters that a request names. What became of each is told, also when one fails, because the others are not undone.
func (p *process) deadReplay(ctx context.Context, request []byte) (any, error) {
	var r replayRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if len(r.Sequences) == 0 || len(r.Sequences) > mostLetters {
		return nil, fmt.Errorf("request: sequences must be 1 to %d numbers", mostLetters)
	}
	store := deadletter.NewStore(p.broker.JetStream(), p.names)
	seen := map[uint64]bool{}
	rows := []replayedRow{}
	for _, seq := range r.Sequences {
		if seen[seq] {
			continue
		}
		seen[seq] = true
		row := replayedRow{Sequence: seq}
		if err := r.one(ctx, store, &row); err != nil {
			row.Error = err.Error()
		}
		rows = append(rows, row)
	}
	return struct {
		DryRun  bool          `json:"dry_run"`
		Letters []replayedRow `json:"letters"`
	}{r.DryRun, rows}, nil
}

func (r replayRequest) one(ctx context.Context, store *deadletter.Store, row *replayedRow) error {
	letter, err := store.Get(ctx, row.Sequence)
	if err != nil {
		return err
	}
	row.CommandID = letter.CommandID
	if r.DryRun {
		return store.Replayable(letter)
	}
	if row.ReplayID, err = store.Replay(ctx, letter, r.Keep); err != nil || r.Keep {
		return err
	}
	if err := store.Drop(ctx, row.Sequence); !errors.Is(err, deadletter.ErrNotFound) {
		return err
	}
	return nil
}
