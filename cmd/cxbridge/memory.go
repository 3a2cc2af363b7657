package main

import (
	"os"
	"runtime"
)

// headroom is how many bytes more may be allocated before the garbage collector runs again than it would allow by itself.
const headroom = 4 << 20

// keepHeadroom lets the garbage collector run less often until the function that it returns was called. It runs whenever the heap has
// doubled, and that of a bridge has a few megabytes, so under load it would run several times a second and take more CPU than reading the
// events. A block that nobody writes to counts as heap, and takes no memory. Who has set GOGC or GOMEMLIMIT knows better.
func keepHeadroom() (release func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return func() {}
		}
	}
	block := make([]byte, headroom)
	return func() { runtime.KeepAlive(block) }
}
