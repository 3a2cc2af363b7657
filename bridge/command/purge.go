package command

import (
	"context"
	"errors"
	"fmt"
	"sort"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// How often commands are deleted that were dealt with long ago, and when first in a term.
const (
	purgePause = time.Hour
	purgeFirst = 5 * time.Minute // and after a failure
	purgeLimit = 30 * time.Second
)

// forgotten tells how the command ends because it is so old that the ledger may not remember any more what became of it; nil if it is not. The ledger
// keeps a record for ledger_ttl, and there is none from before the command was published.
func (j *job) forgotten() *verdict {
	begun := j.suspect || j.ambiguous
	if !j.shift.forgets(j.published()) && !(begun && j.published().UnixNano() < j.shift.forgot.Load()) {
		return nil
	}
	detail := fmt.Sprintf("it waited for longer than commands.ledger_ttl (%s) lets it", j.shift.cfg.LedgerTTL)
	if begun {
		return &verdict{subjects.StatusUnknown, subjects.ReasonOutcomeUnknown, detail + ", and it may have been carried out before"}
	}
	return &verdict{subjects.StatusExhausted, subjects.ReasonExpired, detail}
}

// forgets reports whether the ledger may not know any more what became of a command that was published at a time.
func (s *shift) forgets(published time.Time) bool {
	return time.Since(published) >= remembers(s.cfg.LedgerTTL)
}

// remembers is how long the ledger remembers for certain: a twentieth is for the difference between clocks.
func remembers(ttl time.Duration) time.Duration { return ttl - ttl/20 }

// purge deletes commands from their stream that are done with and that the ledger has forgotten. The stream has no limit of its own, which would drop those
// that wait, too.
func (s *shift) purge(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, purgeLimit)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.stream)
	if err != nil {
		return fmt.Errorf("delete old commands: %w", err)
	}
	done, _, err := s.readPosition(ctx)
	if err != nil {
		return err
	}
	first := stream.CachedInfo().State.FirstSeq
	if done.Floor < first || !stream.CachedInfo().Created.Equal(s.reader.created) {
		return nil
	}
	keep, err := s.firstSince(ctx, ofLeader(stream), time.Now().Add(-s.cfg.LedgerTTL), first, done.Floor+1)
	if err != nil || keep == first {
		return err
	}
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(s.commands()), jetstream.WithPurgeSequence(keep)); err != nil {
		return fmt.Errorf("delete old commands: %w", err)
	}
	return nil
}

// commands are the subjects of commands, without those of schedules.
func (s *shift) commands() string { return s.names.Prefix() + ".cmd.*.>" }

// firstSince returns the lowest sequence, from first on and at most end, from which on all commands were stored after a time.
func (s *shift) firstSince(ctx context.Context, stream jetstream.Stream, since time.Time, first, end uint64) (uint64, error) {
	var failure error
	n := sort.Search(int(end-first), func(i int) bool {
		if failure != nil {
			return true
		}
		m, err := stream.GetMsg(ctx, first+uint64(i), jetstream.WithGetMsgSubject(s.commands())) // or the next one
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			return true
		case err != nil:
			failure = fmt.Errorf("look for old commands: %w", err)
			return true
		}
		return m.Time.After(since)
	})
	return first + uint64(n), failure
}
