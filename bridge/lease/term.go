package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Term is the time in which this bridge holds the lease: from Acquire until it
// is lost, could not be renewed in time, or is released.
type Term struct {
	lease *Lease
	epoch uint64
	mine  record
	sent  atomic.Int64 // clock reading before the last successful renewal was sent

	revision uint64 // of the key; both belong to keep, and after it to Release
	unsure   bool   // a renewal may be stored that we know nothing of
	failing  bool   // the last renewal failed

	kept chan struct{} // keep has returned
	done chan struct{}
	once sync.Once
	err  error // written before done is closed

	releasing sync.Mutex
	deleted   bool // guarded by releasing
}

func newTerm(l *Lease, mine record, revision uint64, sent time.Duration) *Term {
	t := &Term{
		lease: l, epoch: mine.Epoch, mine: mine, revision: revision,
		kept: make(chan struct{}), done: make(chan struct{}),
	}
	t.sent.Store(int64(sent))
	return t
}

// Epoch is the number of the term, the revision with which its key was
// created. It is strictly higher than that of all former terms, as long as the bucket is not
// deleted.
func (t *Term) Epoch() uint64 { return t.epoch }

// Valid reports whether the lease is ours now and for the time needed, even if
// no renewal succeeds any more. To be asked immediately before whatever only the holder
// may do. It costs a reading of the clock and asks nobody. Once it is false for a need of zero
// it stays so.
func (t *Term) Valid(need time.Duration) bool {
	select {
	case <-t.done:
		return false
	default:
		return need < t.left()
	}
}

// Done is closed when the term has ended.
func (t *Term) Done() <-chan struct{} { return t.done }

// Err tells why the term has ended: ErrLost, ErrExpired or ErrReleased. It is
// nil before.
func (t *Term) Err() error {
	select {
	case <-t.done:
		return t.err
	default:
		return nil
	}
}

// Left is the time for which the term is valid without another renewal; zero or less when it has ended.
func (t *Term) Left() time.Duration {
	if !t.Valid(0) {
		return 0
	}
	return t.left()
}

// left is the time for which the term is valid without another renewal.
func (t *Term) left() time.Duration {
	return time.Duration(t.sent.Load()) + t.lease.usable() - t.lease.clock()
}

// end ends the term, once.
func (t *Term) end(err error) {
	t.once.Do(func() {
		t.err = err
		close(t.done)
		if errors.Is(err, ErrReleased) {
			return
		}
		t.lease.log.Warn("term has ended", "epoch", t.epoch, "error", err)
	})
}

// keep renews until the term has ended.
func (t *Term) keep() {
	defer close(t.kept)
	timer := time.NewTimer(min(t.lease.every, max(t.left(), 0)))
	defer timer.Stop()
	for {
		select {
		case <-t.done:
			return
		case <-timer.C:
		}
		if t.left() <= 0 {
			t.end(ErrExpired)
			return
		}
		next := t.renew()
		timer.Reset(min(next, max(t.left(), 0)))
	}
}

// renew makes one attempt and returns the time until the next one.
func (t *Term) renew() time.Duration {
	ctx, cancel := context.WithTimeout(context.Background(), t.lease.attempt)
	defer cancel()
	sent := t.lease.clock()
	revision, err := t.lease.replace(ctx, t.mine, t.revision)
	switch {
	case err == nil:
		return t.renewed(revision, sent)
	case refused(err):
		return t.resolve(ctx)
	}
	t.unsure = true
	return t.failed(err)
}

// renewed notes a success. One that comes too late does not bring a term back
// to life.
func (t *Term) renewed(revision uint64, sent time.Duration) time.Duration {
	t.revision, t.unsure = revision, false
	if t.left() <= 0 {
		t.end(ErrExpired)
		return 0
	}
	t.sent.Store(int64(sent))
	if t.failing {
		t.failing = false
		t.lease.log.Info("lease is renewed again", "epoch", t.epoch)
	}
	return max(sent+t.lease.every-t.lease.clock(), 0)
}

func (t *Term) failed(err error) time.Duration {
	if !t.failing {
		t.failing = true
		t.lease.log.Warn("lease could not be renewed, trying on", "epoch", t.epoch, "left", t.left(), "error", err)
	}
	return t.lease.pause
}

// resolve finds out why the key does not have the revision we know: an earlier
// renewal of ours was stored though it seemed to fail, or the lease is lost.
// What is read may be old when a follower answers, so only what is newer than
// our revision counts; whatever stays open is decided by the clock.
func (t *Term) resolve(ctx context.Context) time.Duration {
	found, err := t.lease.read(ctx)
	switch {
	case err != nil:
		return t.failed(err)
	case found.revision > t.revision && found.Term == t.mine.Term:
		t.revision, t.unsure = found.revision, false
		return 0
	case found.revision > t.revision || !t.unsure:
		t.end(ErrLost)
		return 0
	}
	return t.failed(errors.New("revision of the key is not known"))
}

// Release ends the term and deletes the key if it is still ours, so that
// another bridge takes over at once. From its beginning on Valid is false: what needs
// the lease has to be finished before. It may be called more than once, and also
// when the term has ended. If it fails, or ctx ends, the key expires by itself.
func (t *Term) Release(ctx context.Context) error {
	t.end(ErrReleased)
	ctx, cancel := context.WithTimeout(ctx, t.lease.serverTTL())
	defer cancel()
	select {
	case <-t.kept:
	case <-ctx.Done():
		return fmt.Errorf("release lease: %w", ctx.Err())
	}
	t.releasing.Lock()
	defer t.releasing.Unlock()
	for !t.deleted && !errors.Is(t.err, ErrLost) {
		err := t.delete(ctx)
		if err == nil {
			t.deleted = true
			t.lease.log.Info("lease released", "epoch", t.epoch)
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("release lease: %w", err)
		case <-time.After(t.lease.pause):
		}
	}
	return nil
}

// delete makes one attempt. It succeeds also when the key is not ours any more.
func (t *Term) delete(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, t.lease.attempt)
	defer cancel()
	err := t.lease.kv.Delete(ctx, t.lease.key, jetstream.LastRevision(t.revision))
	if !refused(err) {
		return err
	}
	found, failed := t.lease.read(ctx)
	if failed != nil {
		return failed
	}
	if found.Term != t.mine.Term {
		return nil
	}
	t.revision = max(t.revision, found.revision)
	return err
}
