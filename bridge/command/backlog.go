package command

import (
	"context"
	"fmt"
	"time"
)

// backlog is what waits on the bus for the term that runs, as it was at a time.
type backlog struct {
	at                      time.Time
	waiting, unacknowledged float64
}

// backlogAge is for how long a backlog is told after it was read.
const backlogAge = time.Minute

// ReadBacklog asks the bus how many commands wait there, for the metrics, if a term is running. It costs one request.
func (r *Runner) ReadBacklog(ctx context.Context) error {
	r.mu.Lock()
	s := r.now
	r.mu.Unlock()
	if s == nil {
		r.metrics.backlog.Store(nil)
		return nil
	}
	consumer, err := r.js.Consumer(ctx, r.names.CommandsStream(), consumerName(s.epochNumber))
	if err != nil {
		return fmt.Errorf("read backlog: %w", err)
	}
	info := consumer.CachedInfo()
	r.metrics.backlog.Store(&backlog{at: time.Now(), waiting: float64(info.NumPending), unacknowledged: float64(info.NumAckPending)})
	return nil
}
