package ledger

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// Find returns what the ledger knows of a command, as the leader of the stream has it. A command that is not known gives an empty record.
func (l *Ledger) Find(ctx context.Context, commandID string) (Record, error) {
	record, err := l.find(ctx, commandID)
	if err != nil {
		return Record{}, fmt.Errorf("find command %s: %w", commandID, err)
	}
	return record, nil
}

// find reads the claims first: an outcome that is stored between the readings is then seen, and never a claim without its outcome.
func (l *Ledger) find(ctx context.Context, commandID string) (Record, error) {
	record, err := l.chain(ctx, commandID)
	if err != nil || record.Outcome != nil {
		return record, err
	}
	done, err := l.last(ctx, l.doneSubject(commandID))
	if err != nil || done == nil {
		return record, err
	}
	if record.Outcome, err = readOutcome(done); err == nil && record.Kind == "" {
		record.Kind = record.Outcome.Result.Command
	}
	return record, err
}

// chain reads the last of a command's claims and releases, which follow one another. What is older than the first one is left of an earlier
// time of the same id, which the ledger has forgotten.
func (l *Ledger) chain(ctx context.Context, commandID string) (Record, error) {
	first, err := l.last(ctx, l.claimSubject(commandID))
	if err != nil || first == nil {
		return Record{}, err
	}
	last, err := l.last(ctx, l.names.Ledger("claim", subjects.Token(commandID), "*"))
	if err != nil {
		return Record{}, err
	}
	if last == nil || last.Sequence < first.Sequence {
		last = first
	}
	found, err := read[claimRecord](last.Subject, last.Data)
	if err != nil {
		return Record{}, err
	}
	record := Record{Kind: found.Kind}
	switch {
	case found.Outcome != nil:
		record.Outcome = found.Outcome.outcome(last.Sequence, last.Time)
		return record, nil
	case found.Released != nil:
		record.Released, record.Progress = last.Sequence, found.progress()
		return record, nil
	}
	c := found.claim(last.Sequence, last.Time)
	record.Claim = &c
	record.Progress, err = l.progress(ctx, c)
	return record, err
}

// progress reads how far a command was before a claim.
func (l *Ledger) progress(ctx context.Context, c Claim) (Progress, error) {
	if c.After == 0 {
		return Progress{}, nil
	}
	before, err := l.bySequence(ctx, c.After)
	if err != nil || before == nil || !l.isClaim(before.Subject, c.CommandID) {
		return Progress{}, err // it may have expired just now
	}
	found, err := read[claimRecord](before.Subject, before.Data)
	if err != nil || found.Released == nil {
		return Progress{}, err
	}
	return found.progress(), nil
}

// isClaim reports whether a subject is one of a command's claims and releases.
func (l *Ledger) isClaim(subject, commandID string) bool {
	first := l.claimSubject(commandID)
	return subject == first || strings.HasPrefix(subject, first+".")
}

func (l *Ledger) bySequence(ctx context.Context, seq uint64) (found *stored, err error) {
	err = l.patiently(ctx, func() (err error) {
		found, err = l.get(ctx, query{Seq: seq})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	return found, nil
}

// ClaimedAt returns when the server stored a claim, by the server's clock. It reads that from the stream unless the claim tells. The error
// is [ErrNotFound] if the claim has expired.
func (l *Ledger) ClaimedAt(ctx context.Context, c Claim) (time.Time, error) {
	if !c.At.IsZero() {
		return c.At, nil
	}
	found, err := l.bySequence(ctx, c.Seq)
	if err != nil {
		return time.Time{}, fmt.Errorf("time of claim %d of command %s: %w", c.Seq, c.CommandID, err)
	}
	if found == nil || !l.isClaim(found.Subject, c.CommandID) {
		return time.Time{}, fmt.Errorf("time of claim %d of command %s: %w", c.Seq, c.CommandID, ErrNotFound)
	}
	return found.Time, nil
}
