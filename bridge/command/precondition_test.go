package command

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestAnExpiredCommandIsNotCarriedOut(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "1", 42, "late", subjects.HeaderExpiresAt, time.Now().Add(-time.Second).Format(time.RFC3339))
	b.send(t, "2", 42, "in time", subjects.HeaderExpiresAt, time.Now().Add(time.Hour).Format(time.RFC3339))
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusExpired || r.Reason != subjects.ReasonExpired || r.Attempts != 0 {
		t.Errorf("%+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "2"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := b.letters(t); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestACommandExpiresWhileItWaits(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{refuse: errUnavailable} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "1", 42, "x", subjects.HeaderExpiresAt, time.Now().Add(2*time.Second).Format(time.RFC3339Nano))
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusExpired {
		t.Errorf("%+v", r)
	}
}

func TestACommandExpiresWhilePaused(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold} }
	run(t, r, 1)
	b.send(t, "0", 42, "first")
	<-p.called
	b.send(t, "1", 42, "x", subjects.HeaderExpiresAt, time.Now().Add(500*time.Millisecond).Format(time.RFC3339Nano))
	b.send(t, "2", 42, "y")
	natstest.Eventually(t, "for all to be held", func() bool { return r.Status().Held == 3 })
	r.Pause()
	close(hold)
	if got := b.result(t, subjects.MessageSend, "1"); got.Status != subjects.StatusExpired {
		t.Errorf("%+v", got)
	}
	if n := len(p.done()); n != 1 {
		t.Errorf("%d done while paused", n)
	}
	r.Resume()
	if got := b.result(t, subjects.MessageSend, "2"); got.Status != subjects.StatusDone {
		t.Errorf("%+v", got)
	}
}

// TestOnlyIf publishes a command while commands are paused, lets something happen, and resumes.
func TestOnlyIf(t *testing.T) {
	agent := []string{subjects.HeaderOrigin, string(subjects.OriginAgent)}
	customer := []string{subjects.HeaderOrigin, string(subjects.OriginCustomer)}
	cases := map[string]struct {
		condition string
		happens   func(t *testing.T, b *bus)
		status    subjects.Status
		detail    string
	}{
		"nothing":        {"still-with-bot,no-newer-customer-message", func(*testing.T, *bus) {}, subjects.StatusDone, ""},
		"agent wrote":    {"still-with-bot", func(t *testing.T, b *bus) { b.event(t, 1, 42, subjects.Outgoing, "I help", agent...) }, subjects.StatusExpired, "wrote"},
		"agent assigned": {"still-with-bot", func(t *testing.T, b *bus) { b.assign(t, 42) }, subjects.StatusExpired, "assigned"},
		"agent in another conversation": {
			"still-with-bot", func(t *testing.T, b *bus) { b.event(t, 1, 43, subjects.Outgoing, "I help", agent...) }, subjects.StatusDone, "",
		},
		"customer wrote": {
			"no-newer-customer-message", func(t *testing.T, b *bus) { b.event(t, 1, 42, subjects.Incoming, "wait", customer...) }, subjects.StatusExpired, "customer",
		},
		"customer wrote, and it does not matter": {
			"still-with-bot", func(t *testing.T, b *bus) { b.event(t, 1, 42, subjects.Incoming, "wait", customer...) }, subjects.StatusDone, "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			r := newRunner(t, b, p, testConfig())
			r.Pause()
			b.event(t, 900, 42, subjects.Outgoing, "before", agent...)
			b.event(t, 901, 42, subjects.Incoming, "before", customer...)
			b.send(t, "1", 42, "answer", subjects.HeaderOnlyIf, c.condition)
			c.happens(t, b)
			run(t, r, 1)
			r.Resume()
			got := b.result(t, subjects.MessageSend, "1")
			if got.Status != c.status || !strings.Contains(got.Detail, c.detail) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func (b *bus) assign(t *testing.T, conversation int) {
	t.Helper()
	m := &nats.Msg{
		Subject: "cx.conversation.updated", Data: []byte(`{"event":"conversation_updated","id":42,"meta":{"assignee":{"id":8,"type":"user"},"assignee_type":"User"}}`),
		Header: nats.Header{subjects.HeaderEvent: {"conversation_updated"}, subjects.HeaderConversationID: {"42"}},
	}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// TestNothingFollowsAHandoff: the handoff was published before, and is carried out after, the publication of the message.
func TestNothingFollowsAHandoff(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	b.command(t, subjects.ConversationHandoff, "h", `{"conversation_id":42}`)
	b.send(t, "1", 42, "wait, I know it", subjects.HeaderOnlyIf, "still-with-bot")
	b.send(t, "2", 43, "hello", subjects.HeaderOnlyIf, "still-with-bot")
	run(t, r, 1)
	if got := b.result(t, subjects.MessageSend, "1"); got.Status != subjects.StatusExpired || !strings.Contains(got.Detail, "handed") {
		t.Errorf("%+v", got)
	}
	if got := b.result(t, subjects.MessageSend, "2"); got.Status != subjects.StatusDone {
		t.Errorf("%+v", got)
	}
}
