package natstest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks is a TestMain: it runs the tests and fails when a goroutine is left. It is goleak.VerifyTestMain with the
// patience that a stopped nats-server needs on a slow machine.
func VerifyNoLeaks(m *testing.M) { os.Exit(Leakproof{m}.Run()) }

// Leakproof are tests that fail when a goroutine is left, for a TestMain that does more than [VerifyNoLeaks].
type Leakproof struct {
	Tests interface{ Run() int }
}

// Run runs the tests and returns the exit status.
func (l Leakproof) Run() int {
	code := l.Tests.Run()
	if code != 0 {
		return code
	}
	var leak error
	if !until(func() bool { leak = goleak.Find(); return leak == nil }) {
		fmt.Fprintf(os.Stderr, "natstest: goroutines are left: %v\n", leak)
		return 1
	}
	return 0
}
