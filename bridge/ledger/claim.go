package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Claim claims a command. It returns the claim with its sequence. A [*ClaimedError] says that the command was claimed before, and that claim was
// not given back, or that it is not known after which record it is to be claimed; a claim with the same nonce is this one and no error. [ErrFenced] and [ErrFull] say what they say. With any other error it is not known whether the command is claimed: claim it
// again, with the same nonce.
func (e *Epoch) Claim(ctx context.Context, c Claim) (Claim, error) {
	if c.CommandID == "" || c.Nonce == "" {
		return c, errors.New("claim: a command id and a nonce are needed")
	}
	c.Epoch = e.number
	seq, err := e.put(ctx, e.part(c.Key), e.ledger.after(c.CommandID, c.After), c.record())
	var taken *takenError
	if errors.As(err, &taken) {
		return e.compare(c, taken.message)
	}
	if err != nil {
		return c, fmt.Errorf("claim command %s: %w", c.CommandID, err)
	}
	c.Seq = seq
	e.hold(c)
	return c, nil
}

// compare tells a claim that was stored without us getting to know from one of somebody else.
func (e *Epoch) compare(c Claim, found *stored) (Claim, error) {
	record, err := read[claimRecord](found.Subject, found.Data)
	if err != nil {
		return c, fmt.Errorf("claim command %s: %w", c.CommandID, err)
	}
	stands := record.claim(found.Sequence, found.Time)
	if record.Nonce != c.Nonce || record.CommandID != c.CommandID || record.Outcome != nil || record.Released != nil {
		return c, &ClaimedError{stands}
	}
	e.hold(stands)
	return stands, nil
}

func (e *Epoch) hold(c Claim) {
	e.mu.Lock()
	e.held[c.CommandID] = struct{}{}
	e.mu.Unlock()
	at := c.At
	if at.IsZero() {
		at = time.Now()
	}
	e.ledger.recent.claimed(c, at)
}

func (e *Epoch) holds(commandID string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.held[commandID]
	return ok
}

func (e *Epoch) let(commandID string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, commandID)
}

// Release gives a claim back, so that the command can be claimed again, after the record whose sequence it returns. Only release a claim if no
// call was made under it, if the call was certainly not carried out, or if it may be repeated. Releasing twice is fine. Errors are those of
// [Epoch.Claim], without [*ClaimedError].
func (e *Epoch) Release(ctx context.Context, c Claim, p Progress) (uint64, error) {
	if c.Seq == 0 {
		return 0, fmt.Errorf("release command %s: the claim has no sequence", c.CommandID)
	}
	record := claimRecord{
		Version: recordVersion, CommandID: c.CommandID, Epoch: e.number, Kind: c.Kind, Key: c.Key, Attempts: p.Attempts, After: c.Seq,
		Released: &releaseRecord{Unsure: p.Unsure, Spent: p.Spent.Milliseconds(), History: p.History},
	}
	seq, err := e.put(ctx, e.part(c.Key), e.ledger.after(c.CommandID, c.Seq), record)
	var taken *takenError
	if errors.As(err, &taken) { // by nothing else than a release, as only that follows a claim
		seq, err = taken.message.Sequence, nil
	}
	if err != nil {
		return 0, fmt.Errorf("release command %s: %w", c.CommandID, err)
	}
	e.let(c.CommandID)
	e.ledger.recent.released(c)
	return seq, nil
}
