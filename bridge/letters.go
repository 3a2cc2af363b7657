package bridge

import (
	"context"
	"errors"
	"fmt"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
)

// deadShow tells of one dead letter: why, and each attempt. Its body may hold personal data, and is told only if that is asked for.
func (p *process) deadShow(ctx context.Context, request []byte) (any, error) {
	var r struct {
		Sequence uint64 `json:"sequence"`
		Body     bool   `json:"body"`
	}
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if r.Sequence == 0 {
		return nil, errors.New("request: sequence is needed")
	}
	letter, err := deadletter.NewStore(p.broker.JetStream(), p.names).Get(ctx, r.Sequence)
	if err != nil {
		return nil, err
	}
	return letter.Document(r.Body), nil
}

// dropRequest is the request of bridge.dead.drop.
type dropRequest struct {
	Sequences []uint64 `json:"sequences"`
	DryRun    bool     `json:"dry_run"` // change nothing
}

// droppedRow tells what became of a letter.
type droppedRow struct {
	Sequence uint64 `json:"sequence"`
	Error    string `json:"error,omitempty"` // why it is still there, or was not there
}

// deadDrop deletes the letters that a request names, for good.
func (p *process) deadDrop(ctx context.Context, request []byte) (any, error) {
	var r dropRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if len(r.Sequences) == 0 || len(r.Sequences) > mostLetters {
		return nil, fmt.Errorf("request: sequences must be 1 to %d numbers", mostLetters)
	}
	store := deadletter.NewStore(p.broker.JetStream(), p.names)
	rows := []droppedRow{}
	for _, seq := range r.Sequences {
		drop := store.Drop
		if r.DryRun {
			drop = func(ctx context.Context, seq uint64) error { _, err := store.Get(ctx, seq); return err }
		}
		row := droppedRow{Sequence: seq}
		if err := drop(ctx, seq); err != nil {
			row.Error = err.Error()
		}
		rows = append(rows, row)
	}
	return struct {
		DryRun  bool         `json:"dry_run"`
		Letters []droppedRow `json:"letters"`
	}{r.DryRun, rows}, nil
}
