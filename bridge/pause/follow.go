package pause

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// errMissed says that the key is not as the watch told. A new watch tells how it is.
var errMissed = errors.New("a change was not told")

// Follow calls apply with the state, first with the one that holds now, and then with each other one, until ctx ends. While the bus is away
// the last state holds. Changes are told by the server; as watches can go silent without a word, the key is also looked at every few seconds.
func (s *Switch) Follow(ctx context.Context, apply func(State)) error {
	f := &following{Switch: s, apply: apply}
	for ctx.Err() == nil {
		err := f.round(ctx)
		if ctx.Err() != nil {
			break
		}
		f.tell(err)
		timer := time.NewTimer(s.again)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return ctx.Err()
}

// following is one call of Follow.
type following struct {
	*Switch
	apply    func(State)
	known    bool // whether a state was applied
	last     State
	revision uint64 // of the key; 0 if there is none
	failing  bool
}

// tell logs the first of several failures in a row.
func (f *following) tell(err error) {
	if !f.failing && !errors.Is(err, errMissed) {
		f.log.Warn("whether commands are paused cannot be read; what was known holds", "error", err)
	}
	f.failing = true
}

// round watches the key until something is wrong. A watch begins with what holds, as the leader has it.
func (f *following) round(ctx context.Context) error {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	opening := time.AfterFunc(f.attempt, cancel)
	watcher, err := f.kv.Watch(own, Key)
	if err != nil {
		return err
	}
	if !opening.Stop() {
		return context.DeadlineExceeded
	}
	return f.hear(own, watcher.Updates())
}

// hear takes what a watch tells. The nil entry that ends what was stored at its beginning says that there is no key, if none came before.
func (f *following) hear(ctx context.Context, updates <-chan jetstream.KeyValueEntry) error {
	ticker := time.NewTicker(f.look)
	defer ticker.Stop()
	begun := false
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			if err := f.compare(ctx); err != nil {
				return err
			}
		case entry, open := <-updates:
			switch {
			case !open:
				return errors.New("the watch has ended")
			case entry != nil:
				begun = true
				f.revision = entry.Revision()
				f.set(stateOf(entry))
			case !begun:
				f.revision = 0
				f.set(State{})
			}
		}
	}
}

// compare looks whether the watch has told everything. A key that is gone has no revision that could be compared, and so a state.
func (f *following) compare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, f.attempt)
	defer cancel()
	entry, err := f.kv.Get(ctx, Key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		if f.known && f.last == (State{}) {
			return nil
		}
		return errMissed
	case err != nil:
		return err
	case !f.known || entry.Revision() != f.revision:
		return errMissed
	}
	return nil
}

func (f *following) set(state State) {
	f.failing = false
	if f.known && state == f.last {
		return
	}
	switch {
	case state.Paused:
		f.log.Warn("commands are paused", "since", state.Since.String(), "by", state.By, "reason", state.Reason)
	case f.known:
		f.log.Info("commands go on", "by", state.By, "reason", state.Reason)
	}
	f.known, f.last = true, state
	f.apply(state)
}
