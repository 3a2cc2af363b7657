package command

import "github.com/cxbridge/cxbridge/bridge/lane"

// Oldest returns lanes with commands, at most so many, those first whose first command has held them up for the longest time; none without a
// term. The key of a lane that is of no conversation may hold an address of a person.
func (r *Runner) Oldest(most int) []lane.Head {
	r.mu.Lock()
	s := r.now
	r.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.lanes.Oldest(most)
}
