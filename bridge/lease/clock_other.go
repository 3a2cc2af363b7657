//go:build !linux

package lease

import "time"

// newClock returns a clock that only goes forward. It may stand still while
// the machine is suspended, see DESIGN.md.
func newClock() func() time.Duration {
	start := time.Now()
	return func() time.Duration { return time.Since(start) }
}
