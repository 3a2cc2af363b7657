package ledger

import (
	"context"
	"math/rand/v2"
	"time"
)

// pause waits between two tries, each time up to twice as long as before, and by chance less, so that several who collided do not collide
// again.
type pause struct{ most time.Duration }

const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func (p *pause) wait(ctx context.Context) error {
	p.most = min(max(2*p.most, firstPause), lastPause)
	timer := time.NewTimer(p.most/2 + rand.N(p.most/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
