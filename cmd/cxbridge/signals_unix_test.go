//go:build unix

package main

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"
)

// TestTheFirstSignalAsksAndTheSecondInsists sends this process the signals that it would get from a terminal.
func TestTheFirstSignalAsksAndTheSecondInsists(t *testing.T) {
	statuses := make(chan int, 100)
	ctx, stop := untilSignal(context.Background(), func(status int) { statuses <- status })
	defer stop()
	send := func() {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	send()
	<-ctx.Done()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case status := <-statuses:
			if status != exitFailed {
				t.Errorf("exit status %d", status)
			}
			return
		case <-tick.C:
			send()
		}
	}
}
