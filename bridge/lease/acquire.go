package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// maxBackoff limits the pause between attempts while the server is away or the
// bucket is missing.
const maxBackoff = 5 * time.Second

// Acquire waits until this bridge holds the lease, and returns the term. It
// takes over at once when the key is deleted or expires, and otherwise goes on
// for as long as ctx lasts, through lost connections, a server without JetStream and a
// bucket that is missing or unfit; every change of that is logged once. The only
// error is the end of ctx. The term has to be ended with Release.
func (l *Lease) Acquire(ctx context.Context) (*Term, error) {
	c := &candidate{Lease: l, term: newTermName()}
	defer c.unwatch()
	for ctx.Err() == nil {
		term, err := c.try(ctx)
		if term != nil {
			return l.begin(ctx, term)
		}
		if err == nil {
			err = c.watch(ctx)
		}
		if ctx.Err() == nil {
			c.wait(ctx, c.next(err))
		}
	}
	return nil, fmt.Errorf("acquire lease: %w", ctx.Err())
}

// begin starts the renewals, unless the caller has gone meanwhile.
func (l *Lease) begin(ctx context.Context, t *Term) (*Term, error) {
	go t.keep()
	if ctx.Err() == nil {
		l.log.Info("lease acquired", "epoch", t.epoch)
		return t, nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.attempt)
	defer cancel()
	return nil, errors.Join(fmt.Errorf("acquire lease: %w", ctx.Err()), t.Release(last))
}

// candidate is one call of Acquire.
type candidate struct {
	*Lease
	term    string // its name in the record
	checked bool   // the bucket is fit
	known   string // what was logged last
	fails   int    // in a row

	updates <-chan jetstream.KeyValueEntry // nil: no watcher
	unhook  context.CancelFunc
	heard   time.Time // from the watcher, or its opening
	empty   bool      // the watcher has not found the key so far
	marker  uint64    // the deletion that the watcher told of
}

// try makes one attempt. It returns neither term nor error when somebody else
// holds the lease. The attempt is not cut short by the end of ctx: a key that was
// created but not known of would keep everybody waiting.
func (c *candidate) try(ctx context.Context) (*Term, error) {
	attempt, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.attempt)
	defer cancel()
	if !c.checked {
		if err := c.checkBucket(attempt); err != nil {
			return nil, err
		}
		c.checked = true
	}
	sent := c.clock()
	mine := record{Holder: c.holder, Term: c.term}
	revision, err := c.create(attempt, mine, c.marker)
	c.marker = 0
	if err == nil {
		mine.Epoch = revision
		return newTerm(c.Lease, mine, revision, sent), nil
	}
	if !refused(err) {
		return nil, err
	}
	return c.adopt(attempt)
}

// adopt looks who holds the lease. It may be this candidate: an attempt that
// seemed to fail was carried out after all. A renewal then tells that it still
// is, and from when its time counts.
func (c *candidate) adopt(ctx context.Context) (*Term, error) {
	found, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	if found.Term != c.term {
		c.standby(found)
		return nil, nil
	}
	sent := c.clock()
	revision, err := c.replace(ctx, found.record, found.revision)
	if err != nil {
		return nil, fmt.Errorf("renew what was created: %w", err)
	}
	return newTerm(c.Lease, found.record, revision, sent), nil
}

// watch makes sure that there is a watcher. One that was silent for longer
// than any holder would be is replaced: watchers can die without a word.
func (c *candidate) watch(ctx context.Context) error {
	if c.updates != nil && time.Since(c.heard) < c.ttl/2 {
		return nil
	}
	c.unwatch()
	own, cancel := context.WithCancel(ctx)
	limit := time.AfterFunc(c.opening, cancel) // of the opening alone: a request that meets a change of leader is never answered
	w, err := c.kv.Watch(own, c.key)
	if !limit.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		cancel()
		return fmt.Errorf("watch: %w", err)
	}
	c.updates, c.unhook, c.heard, c.empty = w.Updates(), cancel, time.Now(), true
	return nil
}

// unwatch ends the watcher; the end of its context unsubscribes it.
func (c *candidate) unwatch() {
	if c.unhook != nil {
		c.unhook()
	}
	c.updates, c.unhook = nil, nil
}

// wait returns when it is time for the next attempt: the key is gone, or the
// pause is over, or ctx has ended.
func (c *candidate) wait(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case entry, open := <-c.updates:
			if !open {
				c.unwatch()
			} else if c.gone(entry) {
				return
			}
		}
	}
}

// gone reports whether an update of the watcher says that nobody holds the
// lease. A nil entry ends what was stored when the watcher began.
func (c *candidate) gone(entry jetstream.KeyValueEntry) bool {
	c.heard = time.Now()
	if entry == nil {
		return c.empty
	}
	c.empty = false
	if entry.Operation() != jetstream.KeyValuePut {
		c.marker = entry.Revision()
		return true
	}
	if found, err := decode(entry); err == nil { // otherwise the next attempt reports it
		c.standby(found)
	}
	return false
}

// next decides on the pause after an attempt, and logs a change for the worse.
func (c *candidate) next(err error) time.Duration {
	if err == nil {
		c.fails = 0
		return c.poll
	}
	c.checked = c.checked && !errors.Is(err, jetstream.ErrStreamNotFound) && !errors.Is(err, jetstream.ErrNoStreamResponse)
	known := "failing"
	if errors.Is(err, ErrBucket) {
		known = "unfit"
	}
	c.report(slog.LevelWarn, "lease cannot be acquired, trying on", known, "error", err)
	full := min(100*time.Millisecond<<min(c.fails, 10), maxBackoff, c.ttl/2)
	c.fails++
	return full/2 + rand.N(full/2)
}

func (c *candidate) standby(found state) {
	if found.Term == "" {
		return // nobody, or a follower that lags behind
	}
	c.report(slog.LevelInfo, "lease is held by another", found.Term, "by", found.Holder, "epoch", found.Epoch)
}

// report logs when what is known has changed.
func (c *candidate) report(level slog.Level, msg, known string, args ...any) {
	if c.known == known {
		return
	}
	c.known = known
	c.log.Log(context.Background(), level, msg, args...)
}
