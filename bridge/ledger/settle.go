package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Settle records how a command ended, and returns the outcome that stands: this one, or the one that was recorded before, because the first
// wins. It needs no claim: a command that was never claimed (malformed, expired, given up between two calls) can not be claimed afterwards.
// Errors are those of [Epoch.Claim], without [*ClaimedError].
//
// An outcome that is larger than what the bus takes is recorded, and returned, without the response of the API. It is written to: its sequence, and that
// its result is encoded.
func (e *Epoch) Settle(ctx context.Context, o *Outcome) (*Outcome, error) {
	stands, err := e.settle(ctx, o)
	if errors.Is(err, nats.ErrMaxPayload) && o.Result.Response != nil {
		o.DropResponse()
		stands, err = e.settle(ctx, o)
	}
	if err != nil {
		return o, fmt.Errorf("settle command %s: %w", o.Result.CommandID, err)
	}
	e.let(o.Result.CommandID)
	at := stands.At
	if at.IsZero() {
		at = time.Now()
	}
	e.ledger.recent.settled(stands, at)
	return stands, nil
}

func (e *Epoch) settle(ctx context.Context, o *Outcome) (*Outcome, error) {
	if o.Result.CommandID == "" {
		return o, errors.New("a command id is needed")
	}
	if _, err := o.ResultJSON(); err != nil {
		return o, err
	}
	if !e.holds(o.Result.CommandID) {
		stands, done, err := e.settleUnclaimed(ctx, o)
		if done || err != nil {
			return stands, err
		}
	}
	return e.settleClaimed(ctx, o)
}

// settleClaimed records the outcome beside the claim.
func (e *Epoch) settleClaimed(ctx context.Context, o *Outcome) (*Outcome, error) {
	seq, err := e.put(ctx, e.part(o.Key), e.ledger.doneSubject(o.Result.CommandID), o.record(e.number))
	var taken *takenError
	if errors.As(err, &taken) {
		stands, err := readOutcome(taken.message)
		if err != nil {
			return o, err
		}
		return stands, nil
	}
	o.Seq = seq
	return o, err
}

// settleUnclaimed records the outcome in the place of a claim, so that nobody can claim the command any more. It is not done if there is an
// open claim of a former epoch, or if the outcome names a message, which those who look for messages must find beside the claim.
func (e *Epoch) settleUnclaimed(ctx context.Context, o *Outcome) (stands *Outcome, done bool, err error) {
	former, err := e.ledger.last(ctx, e.ledger.doneSubject(o.Result.CommandID))
	if err != nil {
		return o, false, err
	}
	if former != nil {
		first, err := readOutcome(former)
		if err != nil {
			return o, false, err
		}
		return first, true, nil
	}
	record := claimRecord{
		Version: recordVersion, CommandID: o.Result.CommandID, Epoch: e.number, Kind: o.Result.Command, Key: o.Key, After: o.After,
		Outcome: o.record(e.number),
	}
	seq, err := e.put(ctx, e.part(o.Key), e.ledger.after(o.Result.CommandID, o.After), record)
	var taken *takenError
	if errors.As(err, &taken) {
		record, err := read[claimRecord](taken.message.Subject, taken.message.Data)
		if err != nil || record.Outcome == nil {
			return o, false, err
		}
		return record.Outcome.outcome(taken.message.Sequence, taken.message.Time), true, nil
	}
	o.Seq = seq
	return o, err == nil && o.MessageID == "", err
}

func readOutcome(message *stored) (*Outcome, error) {
	record, err := read[outcomeRecord](message.Subject, message.Data)
	if err != nil {
		return nil, err
	}
	return record.outcome(message.Sequence, message.Time), nil
}
