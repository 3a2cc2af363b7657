package lane

import "time"

// Head is a lane as it stands at one moment, with what its first job waits for.
type Head struct {
	Key     string
	Jobs    int       // held in the lane, the first one included
	Since   time.Time // when the first job became the first
	Running bool      // a worker is at it
	WakeAt  time.Time // when it runs again; zero unless it waits for that
}

// Oldest returns lanes, at most so many, those first whose first job has been the first for the longest time. It costs as much as it returns.
func (l *Lanes) Oldest(most int) []Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	heads := make([]Head, 0, max(min(most, len(l.lanes)), 0))
	for ln := l.ages.first; ln != nil && len(heads) < most; ln = ln.newer {
		h := Head{Key: ln.key, Jobs: ln.jobs.len(), Since: ln.since, Running: ln.running}
		if ln.slot != notWaiting {
			h.WakeAt = ln.wakeAt
		}
		heads = append(heads, h)
	}
	return heads
}
