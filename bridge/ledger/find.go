package ledger

import (
	"context"
	"fmt"
	"time"
)

// Find returns what the ledger knows of a command, as the leader of the stream has it. A command that is not known gives an empty record.
func (l *Ledger) Find(ctx context.Context, commandID string) (Record, error) {
	record, err := l.find(ctx, commandID)
	if err != nil {
		return Record{}, fmt.Errorf("find command %s: %w", commandID, err)
	}
	return record, nil
}

// find reads the claim first: an outcome that is stored between the two readings is then seen, and never a claim without its outcome.
func (l *Ledger) find(ctx context.Context, commandID string) (Record, error) {
	var record Record
	claim, err := l.last(ctx, l.claimSubject(commandID))
	if err != nil {
		return record, err
	}
	if claim != nil {
		found, err := read[claimRecord](claim.Subject, claim.Data)
		if err != nil {
			return record, err
		}
		if found.Outcome != nil {
			record.Outcome = found.Outcome.outcome(claim.Sequence, claim.Time)
			return record, nil
		}
		c := found.claim(claim.Sequence, claim.Time)
		record.Claim = &c
	}
	done, err := l.last(ctx, l.doneSubject(commandID))
	if err != nil || done == nil {
		return record, err
	}
	record.Outcome, err = readOutcome(done)
	return record, err
}

// ClaimedAt returns when the server stored a claim, by the server's clock. It reads that from the stream unless the claim tells. The error
// is [ErrNotFound] if the claim was released or has expired.
func (l *Ledger) ClaimedAt(ctx context.Context, c Claim) (time.Time, error) {
	if !c.At.IsZero() {
		return c.At, nil
	}
	var found *stored
	err := l.patiently(ctx, func() (err error) {
		found, err = l.get(ctx, query{Seq: c.Seq})
		return err
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("time of claim %d of command %s: %w", c.Seq, c.CommandID, err)
	}
	if found == nil || found.Subject != l.claimSubject(c.CommandID) {
		return time.Time{}, fmt.Errorf("time of claim %d of command %s: %w", c.Seq, c.CommandID, ErrNotFound)
	}
	return found.Time, nil
}
