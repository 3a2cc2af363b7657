package command

import (
	"context"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// TestTermsGoOnWhenTheirNumbersBeganAnew: the bucket of the lease was deleted, so that the next term has the number 1 once more.
func TestTermsGoOnWhenTheirNumbersBeganAnew(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	made := time.Now().Add(-time.Hour)
	numbered := func() *Runner {
		r := newRunner(t, b, p, testConfig())
		r.numbered = func(context.Context) (time.Time, error) { return made, nil }
		return r
	}
	x := run(t, numbered(), 500)
	b.send(t, "a", 1, "x")
	b.result(t, subjects.MessageSend, "a")
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	made = made.Add(time.Second)
	r := numbered()
	run(t, r, 1)
	b.send(t, "b", 1, "y")
	if again := b.result(t, subjects.MessageSend, "b"); again.Status != subjects.StatusDone || r.Status().Epoch != 1 {
		t.Errorf("%+v, epoch %d", again, r.Status().Epoch)
	}
	if n := len(p.done()); n != 2 {
		t.Errorf("%d done", n)
	}
}
