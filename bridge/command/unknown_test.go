package command

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// shortEcho is for tests in which no echo ever comes.
const shortEcho = 20 * time.Millisecond

func TestALostAnswerIsSettledByTheEcho(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "1", 42, "hello")
	r := b.result(t, subjects.MessageSend, "1")
	if r.Status != subjects.StatusDone || r.MessageID.String() != fmt.Sprint(p.done()[0].id) || !r.MessageID.IsNumber() || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if len(p.done()) != 1 || b.letters(t) != 0 {
		t.Errorf("done %v, %d dead letters", p.done(), b.letters(t))
	}
}

func TestALostAnswerWithoutEchoIsUnknownAndParked(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, content string, _ int) behaviour {
		if content == "lost" {
			return behaviour{lose: errLost, silent: true}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait = shortEcho
	run(t, newRunner(t, b, p, cfg), 1)
	b.event(t, 1, 43, subjects.Outgoing, "lost") // another conversation
	b.event(t, 2, 42, subjects.Incoming, "lost") // another direction
	b.event(t, 3, 42, subjects.Outgoing, "found")
	b.send(t, "1", 42, "lost")
	b.send(t, "2", 42, "next")
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusUnknown || r.Reason != subjects.ReasonOutcomeUnknown || !r.MessageID.IsZero() {
		t.Errorf("%+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "2"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := b.letters(t); n != 1 || p.attempts(PostMessage, "42", "lost") != 1 {
		t.Errorf("%d dead letters, %d attempts", n, p.attempts(PostMessage, "42", "lost"))
	}
}

// TestTwoEqualTextsAreNeverSettledByOneEcho: the echo may be that of the first, so the second stays unknown.
func TestTwoEqualTextsAreNeverSettledByOneEcho(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	first := true
	p.behave = func(Operation, string, string, int) behaviour {
		defer func() { first = false }()
		return behaviour{lose: errLost, silent: first}
	}
	cfg := testConfig()
	cfg.EchoWait = shortEcho
	run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "1", 42, "yes")
	b.send(t, "2", 42, "yes")
	for _, id := range []string{"1", "2"} {
		if r := b.result(t, subjects.MessageSend, id); r.Status != subjects.StatusUnknown {
			t.Errorf("%s: %+v", id, r)
		}
	}
}

func TestTwoEqualTextsAreSettledByTheirOwnEchoes(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	for n := range 4 {
		b.send(t, fmt.Sprint(n), 42, "yes")
	}
	for n := range 4 {
		r := b.result(t, subjects.MessageSend, fmt.Sprint(n))
		if r.Status != subjects.StatusDone || r.MessageID.String() != fmt.Sprint(9001+n) {
			t.Errorf("%d: %+v", n, r)
		}
	}
}

func TestPickLeavesEventsToEarlierCommands(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	events := []sighting{{at: at.Add(-time.Minute)}, {at: at}, {at: at.Add(time.Minute)}}
	for _, c := range []struct {
		earlier int
		want    int // of the events, counted from 1; 0 for none
	}{{0, 2}, {1, 2}, {2, 3}, {3, 0}, {4, 0}} {
		got := 0
		if e := pick(events, c.earlier, at); e != nil {
			got = 1 + slices.Index(events, *e)
		}
		if got != c.want {
			t.Errorf("%d earlier: %d instead of %d", c.earlier, got, c.want)
		}
	}
}

func TestOnUnknownResendSendsAgain(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		if try == 1 {
			return behaviour{lose: errLost, silent: true}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait, cfg.OnUnknown = shortEcho, Resend
	run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "1", 42, "hello")
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusDone || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

func TestAHandoffWithALostAnswerIsRepeated(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		if try == 1 {
			return behaviour{lose: errCut}
		}
		return behaviour{refuse: &cxapi.Error{Status: 422, Kind: cxapi.KindRejected, Outcome: cxapi.OutcomeNever, Body: "already open"}}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ConversationHandoff, "1", `{"conversation_id":42}`)
	if r := b.result(t, subjects.ConversationHandoff, "1"); r.Status != subjects.StatusDone || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

// crashed begins a command, and ends the term while the API call is under way. The next term is begun by another runner.
func crashed(t *testing.T, b *bus, p *platform, kind subjects.Kind, body string, cfg, next Config) {
	t.Helper()
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: make(chan struct{})} }
	x := run(t, newRunner(t, b, p, cfg), 1)
	b.command(t, kind, "1", body)
	<-p.called
	x.crash(t)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{} }
	run(t, newRunner(t, b, p, next), 2)
}

func TestACrashDuringACallIsSettledByTheEcho(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	cfg := testConfig()
	crashed(t, b, p, subjects.MessageSend, `{"conversation_id":42,"content":"hello"}`, cfg, cfg)
	b.event(t, 777, 42, subjects.Outgoing, "hello") // it had been carried out
	r := b.result(t, subjects.MessageSend, "1")
	if r.Status != subjects.StatusDone || r.MessageID.String() != "777" || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if len(p.done()) != 0 {
		t.Errorf("done again: %v", p.done())
	}
}

func TestACrashDuringACallIsUnknownWithoutEcho(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	cfg := testConfig()
	cfg.EchoWait, cfg.CallTimeout = shortEcho, time.Second
	crashed(t, b, p, subjects.MessageSend, `{"conversation_id":42,"content":"hello"}`, cfg, cfg)
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusUnknown || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	b.send(t, "2", 42, "next")
	if r := b.result(t, subjects.MessageSend, "2"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := b.letters(t); n != 1 || len(p.done()) != 1 {
		t.Errorf("%d dead letters, done %v", n, p.done())
	}
}

func TestACrashDuringAHandoffRepeatsIt(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	next := testConfig()
	next.CallTimeout = time.Second // so that the former holder's call is soon known to have ended
	crashed(t, b, p, subjects.ConversationHandoff, `{"conversation_id":42}`, testConfig(), next)
	if r := b.result(t, subjects.ConversationHandoff, "1"); r.Status != subjects.StatusDone || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

func TestATermThatIsLostWritesNothingMore(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold} }
	cfg := testConfig()
	r1 := newRunner(t, b, p, cfg)
	x := run(t, r1, 1)
	b.send(t, "1", 42, "hello")
	<-p.called
	close(x.done)
	natstest.Eventually(t, "for the term to be over", func() bool { return r1.writes() != nil })
	close(hold)
	if err := x.wait(t); !errors.Is(err, ErrTermOver) {
		t.Fatal(err)
	}
	if n := b.count(t, b.names.ResultsStream()); n != 0 {
		t.Errorf("%d results", n)
	}
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{} }
	run(t, newRunner(t, b, p, cfg), 2)
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusDone || len(p.done()) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestASoftStopFinishesTheCall(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold} }
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	b.send(t, "1", 42, "hello")
	b.send(t, "2", 42, "next")
	<-p.called
	natstest.Eventually(t, "for the second command to be held", func() bool { return r.Status().Held == 2 })
	x.stop()
	close(hold)
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := b.count(t, b.names.ResultsStream()); n != 1 || len(p.done()) != 1 {
		t.Errorf("%d results, done %v", n, p.done())
	}
}

func TestAZombieIsFencedByTheLedger(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	cfg := testConfig()
	old := run(t, newRunner(t, b, p, cfg), 1)
	run(t, newRunner(t, b, p, cfg), 2)
	b.send(t, "1", 42, "hello")
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if err := old.wait(t); !errors.Is(err, ErrTermOver) { // its consumer is gone, and a later one is there
		t.Errorf("%v", err)
	}
	if len(p.done()) != 1 {
		t.Errorf("done %v", p.done())
	}
}

// TestAnAnswerOutlivesItsTerm: the term was lost during the call, and the same process is the next active one. No echo is needed.
func TestAnAnswerOutlivesItsTerm(t *testing.T) {
	for name, answer := range map[string]behaviour{"done": {silent: true}, "not done": {refuse: errUnavailable}} {
		t.Run(name, func(t *testing.T) {
			b := newBus(t)
			p := newPlatform(t, b)
			hold := make(chan struct{})
			p.behave = func(_ Operation, _, _ string, try int) behaviour {
				if try > 1 {
					return behaviour{silent: true}
				}
				answer.hold = hold
				return answer
			}
			cfg := testConfig()
			cfg.EchoWait = shortEcho
			r := newRunner(t, b, p, cfg)
			x := run(t, r, 1)
			b.send(t, "1", 42, "hello")
			<-p.called
			close(x.done)
			natstest.Eventually(t, "for the term to be over", func() bool { return r.writes() != nil })
			close(hold)
			if err := x.wait(t); !errors.Is(err, ErrTermOver) {
				t.Fatal(err)
			}
			run(t, r, 2)
			if got := b.result(t, subjects.MessageSend, "1"); got.Status != subjects.StatusDone || got.MessageID.String() != "9001" {
				t.Errorf("%+v", got)
			}
			if len(p.done()) != 1 {
				t.Errorf("done %v", p.done())
			}
		})
	}
}

// writes tells why the present term must not write to the bus any more.
func (r *Runner) writes() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now.hard.Err()
}

func TestAPanicDuringACallIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, content string, try int) behaviour {
		if content == "bad" {
			p.mu.Unlock() // do does not come to it
			panic("test")
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait = shortEcho
	run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "1", 42, "bad")
	b.send(t, "2", 42, "good")
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusUnknown || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "2"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
}

func TestNoCallIsMadeWhileTheLeaseIsTooShort(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	x.invalid.Store(true)
	b.send(t, "1", 42, "hello")
	natstest.Eventually(t, "for the command to be held", func() bool { return r.Status().Held == 1 })
	if len(p.done()) != 0 {
		t.Error("called")
	}
	x.invalid.Store(false)
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusDone || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

// TestWhatMayHaveBeenDoneIsNotSaidToBeUndone: the answer of the first call is lost, and the command ends otherwise afterwards.
func TestWhatMayHaveBeenDoneIsNotSaidToBeUndone(t *testing.T) {
	for name, c := range map[string]struct {
		kind subjects.Kind
		body string
		lost Operation
		then error
		want subjects.Status
	}{
		"a hand-off is refused":          {kind: subjects.ConversationHandoff, body: `{"conversation_id":1}`, lost: DeliverToAgent, then: errNotFound, want: subjects.StatusUnknown},
		"a message is refused":           {kind: subjects.MessageSend, body: `{"conversation_id":1,"content":"x"}`, lost: PostMessage, then: errNotFound, want: subjects.StatusUnknown},
		"a finish is given up":           {kind: subjects.ConversationFinish, body: `{"conversation_id":1}`, lost: FinishConversation, then: errUnavailable, want: subjects.StatusUnknown},
		"a contact exists":               {kind: subjects.ContactCreate, body: `{"inbox_id":5,"name":"Ann","email":"ann@example.test"}`, lost: CreateContact, then: errTaken, want: subjects.StatusUnknown},
		"a conversation is refused":      {kind: subjects.ConversationStart, body: `{"inbox_id":5,"contact_id":4,"source_id":"s"}`, lost: CreateConversation, then: errNotFound, want: subjects.StatusUnknown},
		"the contact of a refused start": {kind: subjects.ConversationStart, body: startAnn, lost: CreateContact, then: errNotFound, want: subjects.StatusRefused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			p.behave = func(op Operation, _, _ string, try int) behaviour {
				switch {
				case op == c.lost && try == 1:
					return behaviour{lose: errLost, silent: true}
				case op == CreateContact && c.kind == subjects.ConversationStart:
					return behaviour{}
				}
				return behaviour{refuse: c.then}
			}
			cfg := testConfig()
			cfg.OnUnknown, cfg.EchoWait, cfg.RetryFor = Resend, shortEcho, time.Second
			run(t, newRunner(t, b, p, cfg), 1)
			b.command(t, c.kind, "1", c.body)
			if r := b.result(t, c.kind, "1"); r.Status != c.want {
				t.Errorf("%+v", r)
			}
			if n := b.letters(t); n != 1 {
				t.Errorf("%d dead letters", n)
			}
		})
	}
}

// TestAHandoffThatMayHaveBeenDoneDoesNotExpire between its lost answer and its repetition.
func TestAHandoffThatMayHaveBeenDoneDoesNotExpire(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	expires := time.Now().Add(2 * time.Second)
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold, lose: errLost} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ConversationHandoff, "1", `{"conversation_id":1}`, subjects.HeaderExpiresAt, expires.UTC().Format(time.RFC3339Nano))
	natstest.Eventually(t, "for the command to expire", func() bool { return time.Now().After(expires) })
	close(hold)
	r := b.result(t, subjects.ConversationHandoff, "1")
	if len(p.done()) > 0 && r.Status != subjects.StatusUnknown || len(p.done()) == 0 && r.Status != subjects.StatusExpired {
		t.Errorf("%d calls, %+v", len(p.done()), r)
	}
}
