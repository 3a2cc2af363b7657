package main

import (
	"os"
	"runtime"
	"runtime/debug"
)

// The garbage collector runs again when a share of what is in use, and of the headroom, has been allocated.
const (
	headroom = 11 << 20 // bytes
	share    = 75       // percent; by itself it is 100
)

// tuneCollector lets the garbage collector run less often while little memory is used, and more often when much is, until the function that it
// returns was called. By itself it runs whenever the heap has doubled. That of a bridge has a few megabytes, so under load it would run several
// times a second and take more CPU than reading the events; and with a thousand calls in flight half of the heap would be what nobody
// uses any more. A block that nobody writes to counts as heap, and takes no memory. Who has set GOGC or GOMEMLIMIT knows better.
func tuneCollector() (release func()) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if os.Getenv(name) != "" {
			return func() {}
		}
	}
	former := debug.SetGCPercent(share)
	block := make([]byte, headroom)
	return func() {
		runtime.KeepAlive(block)
		debug.SetGCPercent(former)
	}
}
