package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Claim claims a command. It returns the claim with its sequence. A [*ClaimedError] says that the command was claimed before; a claim with the same
// nonce is this one and no error. [ErrFenced] and [ErrFull] say what they say. With any other error it is not known whether the command is claimed: claim it
// again, with the same nonce.
func (e *Epoch) Claim(ctx context.Context, c Claim) (Claim, error) {
	if c.CommandID == "" || c.Nonce == "" {
		return c, errors.New("claim: a command id and a nonce are needed")
	}
	c.Epoch = e.number
	seq, err := e.put(ctx, e.part(c.Key), e.ledger.claimSubject(c.CommandID), c.record())
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
	if record.Nonce != c.Nonce || record.CommandID != c.CommandID || record.Outcome != nil {
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

// Release gives a claim back, so that the command can be claimed again. Only release a claim if no call was made under it, or if the call was certainly
// not carried out. Releasing twice is fine. [ErrFenced] says that another epoch has begun, and that the claim is its business now.
func (e *Epoch) Release(ctx context.Context, c Claim) error {
	if err := e.release(ctx, c); err != nil {
		return fmt.Errorf("release command %s: %w", c.CommandID, err)
	}
	e.let(c.CommandID)
	e.ledger.recent.released(c)
	return nil
}

func (e *Epoch) release(ctx context.Context, c Claim) error {
	if c.Seq == 0 {
		return errors.New("the claim has no sequence")
	}
	if err := e.confirm(ctx, e.part(c.Key)); err != nil {
		return err
	}
	return e.ledger.patiently(ctx, func() error {
		failure := e.ledger.remove(ctx, c.Seq)
		if failure == nil {
			return nil
		}
		left, err := e.ledger.get(ctx, query{Seq: c.Seq})
		if err == nil && left == nil {
			return nil
		}
		return failure
	})
}
