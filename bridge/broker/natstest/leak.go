package natstest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// VerifyNoLeaks is a TestMain: it runs the tests and fails when a goroutine is left. It is goleak.VerifyTestMain with the
// patience that a stopped nats-server needs on a slow machine.
func VerifyNoLeaks(m *testing.M) {
	code := m.Run()
	if code == 0 {
		var leak error
		if !until(func() bool { leak = goleak.Find(); return leak == nil }) {
			fmt.Fprintf(os.Stderr, "natstest: goroutines are left: %v\n", leak)
			code = 1
		}
	}
	os.Exit(code)
}
