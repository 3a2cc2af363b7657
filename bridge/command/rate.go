package command

import (
	"time"

	"golang.org/x/time/rate"
)

// SetRate changes how many calls a second there may be (0: no limit) and how many at once before the rate counts. What was learnt of the
// API's own limit is forgotten.
func (r *Runner) SetRate(perSecond float64, burst int) { r.gate.setRate(perSecond, burst) }

func (g *gate) setRate(perSecond float64, burst int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.most = rate.Inf
	if perSecond > 0 {
		g.most = rate.Limit(perSecond)
	}
	now := time.Now()
	g.limiter.SetLimitAt(now, g.most)
	g.limiter.SetBurstAt(now, max(burst, 1))
	g.ceiling, g.calls, g.limited = 0, 0, 0
	g.pump(nil)
}
