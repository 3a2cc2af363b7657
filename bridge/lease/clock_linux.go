package lease

import (
	"time"

	"golang.org/x/sys/unix"
)

// never is later than every end of a term, and far from overflow.
const never = time.Duration(1) << 60

// newClock returns a clock that only goes forward and, unlike the one behind
// time.Since, goes on while the machine is suspended.
func newClock() func() time.Duration {
	return func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			return never // without a clock there is no valid term
		}
		return time.Duration(now.Nano())
	}
}
