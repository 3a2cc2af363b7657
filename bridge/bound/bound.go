// Package bound makes contexts with a deadline that are shared by all who ask at about the same time. A bridge makes ten thousand short requests
// a second, and a context with a timer for each costs as much as sending it.
package bound

import (
	"context"
	"sync"
	"time"
)

// parents is how many parents are remembered, those that asked last.
const parents = 4

// Bounds bounds what is done, all of it by the same time.
type Bounds struct {
	most time.Duration

	mu     sync.Mutex
	recent [parents]shared
	next   int // of them, to be forgotten
}

type shared struct {
	parent, ctx context.Context
	until       time.Time // then the next one is made
}

// New returns bounds for what may take at most so long.
func New(most time.Duration) *Bounds { return &Bounds{most: most} }

// Of returns a context that ends when its parent does, and otherwise when between nine tenths and all of the time have passed. It needs no cancelling.
func (b *Bounds) Of(parent context.Context) context.Context {
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	place := &b.recent[b.next]
	for i := range b.recent {
		s := &b.recent[i]
		if s.parent != parent {
			continue
		}
		if now.Before(s.until) {
			return s.ctx
		}
		place = s
	}
	ctx, cancel := context.WithTimeout(parent, b.most)
	context.AfterFunc(ctx, cancel)
	*place = shared{parent, ctx, now.Add(b.most / 10)}
	if place == &b.recent[b.next] {
		b.next = (b.next + 1) % parents
	}
	return ctx
}
