package command

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// TestCrashesLoseNothingRepeatNothingAndKeepTheOrder ends one term after the other in the middle of its work, as if the process had died.
func TestCrashesLoseNothingRepeatNothingAndKeepTheOrder(t *testing.T) {
	t.Parallel()
	const conversations, each, crashes = 8, 25, 10
	b := newBus(t)
	p := newPlatform(t, b)
	dice := rand.New(rand.NewPCG(3, 4))
	p.behave = func(Operation, string, string, int) behaviour {
		switch dice.IntN(12) {
		case 0:
			return behaviour{refuse: errUnavailable}
		case 1:
			return behaviour{lose: errLost}
		}
		return behaviour{}
	}
	for n := range each {
		for c := range conversations {
			b.send(t, fmt.Sprintf("%d-%d", c, n), c+1, fmt.Sprintf("text %d", n))
		}
	}
	cfg := testConfig()
	cfg.EchoWait, cfg.CallTimeout, cfg.MaxInFlight = shortEcho, time.Second, 4
	for epoch := range uint64(crashes) {
		x := run(t, newRunner(t, b, p, cfg), epoch+1)
		for range conversations * each / crashes / 2 { // half of them are left for the last term
			<-p.called
		}
		x.crash(t)
	}
	run(t, newRunner(t, b, p, cfg), crashes+1)
	unknown := map[string]bool{}
	for n := range each {
		for c := range conversations {
			switch r := b.result(t, subjects.MessageSend, fmt.Sprintf("%d-%d", c, n)); r.Status {
			case subjects.StatusDone:
			case subjects.StatusUnknown:
				unknown[fmt.Sprintf("%d/text %d", c+1, n)] = true
			default:
				t.Errorf("%+v", r)
			}
		}
	}
	checkCrashes(t, p.done(), unknown, conversations*each)
	if n := b.count(t, b.names.ResultsStream()); n != conversations*each {
		t.Errorf("%d results", n)
	}
	if n := b.letters(t); n != len(unknown) {
		t.Errorf("%d dead letters, %d unknown", n, len(unknown))
	}
}

// checkCrashes: as every deed has its event, exactly that is unknown which was not done.
func checkCrashes(t *testing.T, deeds []deed, unknown map[string]bool, all int) {
	t.Helper()
	last := map[string]int{}
	for _, d := range deeds {
		var n int
		if _, err := fmt.Sscanf(d.content, "text %d", &n); err != nil {
			t.Fatal(err)
		}
		if former, some := last[d.conversation]; some && n <= former {
			t.Errorf("conversation %s: %d after %d", d.conversation, n, former)
		}
		last[d.conversation] = n
		if unknown[d.conversation+"/"+d.content] {
			t.Errorf("%s/%s was done and is unknown", d.conversation, d.content)
		}
	}
	if len(deeds)+len(unknown) != all {
		t.Errorf("%d done, %d unknown, of %d", len(deeds), len(unknown), all)
	}
}

// TestADeadLetterDoesNotComeAgain: a command that is delivered again after the duplicate window has no second dead letter, also if an operator
// has dropped the first.
func TestADeadLetterDoesNotComeAgain(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(_ Operation, conversation, _ string, try int) behaviour {
		if conversation == "1" {
			return behaviour{hold: hold}
		}
		return behaviour{refuse: errNotFound}
	}
	x := run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "a", 1, "x") // keeps the consumer's floor low
	b.send(t, "b", 2, "x")
	b.result(t, subjects.MessageSend, "b")
	x.crash(t)
	b.replace(t, b.names.DeadStream()) // forgets ids, as time does
	close(hold)
	b.event(t, 1, 1, subjects.Outgoing, "x")
	run(t, newRunner(t, b, p, testConfig()), 2)
	b.settled(t, 2)
	if n := b.letters(t); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// late is an error that brings the bridge to panic after the call was made.
type late struct{}

func (late) Error() string { return "late" }
func (late) As(any) bool   { panic("after the call") }

func TestAPanicAfterTheCallDoesNotMakeItTwice(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: late{}} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "a", 1, "x")
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := len(p.done()); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// TestAnIDThatIsUsedAgainIsAnsweredAlsoWhenItsResultHasExpired, and after the duplicate window of the commands.
func TestAnIDThatIsUsedAgainIsAnsweredAlsoWhenItsResultHasExpired(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	b.send(t, "a", 1, "x")
	first := b.result(t, subjects.MessageSend, "a")
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	b.replace(t, b.names.CommandsStream()) // forgets ids and messages, as time does
	b.replace(t, b.names.ResultsStream())
	b.send(t, "a", 1, "x")
	run(t, r, 2)
	again := b.result(t, subjects.MessageSend, "a")
	if again.MessageID != first.MessageID || !again.FinishedAt.Equal(first.FinishedAt.Time) || again.Status != first.Status {
		t.Errorf("first %+v\nagain %+v", first, again)
	}
	if n := len(p.done()); n != 1 {
		t.Errorf("done %d times", n)
	}
}
