package command

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestAllFiveCommandsAreCarriedOut(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.MessageSend, "m", `{"conversation_id":"42","content":"hello","tenant_domain":"acme.cx.sangoma.com"}`)
	b.command(t, subjects.ConversationStart, "s", `{"inbox_id":5,"contact":{"name":"Ann","email":"ann@example.test"},"initial_message":"hi"}`)
	b.command(t, subjects.ConversationHandoff, "h", `{"conversation_id":7}`)
	b.command(t, subjects.ConversationFinish, "f", `{"conversation_id":8}`)
	b.command(t, subjects.ContactCreate, "c", `{"inbox_id":5,"name":"Bo","phone_number":"+4912345"}`)
	for kind, id := range map[subjects.Kind]string{
		subjects.MessageSend: "m", subjects.ConversationStart: "s", subjects.ConversationHandoff: "h", subjects.ConversationFinish: "f",
		subjects.ContactCreate: "c",
	} {
		r := b.result(t, kind, id)
		if r.Status != subjects.StatusDone || r.Reason != "" || r.CommandID != id || r.Command != kind || r.HTTPStatus != 200 || r.Tenant != testTenant {
			t.Errorf("%s: %+v", kind, r)
		}
		if r.Response == nil || r.ReceivedAt.IsZero() || r.FinishedAt.IsZero() {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	if r := b.result(t, subjects.MessageSend, "m"); r.ConversationID.IsNumber() || r.ConversationID.String() != "42" || r.MessageID.IsZero() || r.Attempts != 1 {
		t.Errorf("message: %+v", r)
	}
	if r := b.result(t, subjects.ConversationStart, "s"); r.ConversationID.IsZero() || r.ContactID.IsZero() || r.Attempts != 2 {
		t.Errorf("start: %+v", r)
	}
	b.settled(t, 1)
	if n := b.letters(t); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

func TestWhatIsMalformedNeverReachesTheAPI(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.MessageSend, "a", `{"conversation_id":42}`, "X-Own", "kept")
	b.command(t, subjects.MessageSend, "b", `{"conversation_id":42,"content":"x","tenant_domain":"other.cx.sangoma.com"}`)
	b.command(t, subjects.MessageSend, "c", `{"conversation_id":42,"content":"x"}`, subjects.HeaderReplyTo, "cx.cmd.message.send")
	b.command(t, subjects.MessageSend, "d", `{"conversation_id":42,"content":"x"}`, subjects.HeaderOnlyIf, "still-with-bot, sunny")
	b.command(t, subjects.MessageSend, "e", `{"conversation_id":42,"content":"x"}`, subjects.HeaderExpiresAt, "tomorrow")
	b.command(t, "message.shout", "f", `{"conversation_id":"42"}`)
	if _, err := b.js.Publish(t.Context(), "cx.cmd.message.send.43", []byte(`{"conversation_id":42,"content":"x"}`), jetstream.WithMsgID("g")); err != nil {
		t.Fatal(err)
	}
	for id, reason := range map[string]subjects.Reason{"a": "malformed", "b": "tenant_mismatch", "c": "malformed", "d": "malformed", "e": "malformed", "g": "malformed"} {
		if r := b.result(t, subjects.MessageSend, id); r.Status != subjects.StatusInvalid || r.Reason != reason || r.Attempts != 0 || r.Detail == "" || r.ConversationID.String() != "42" {
			t.Errorf("%s: %+v", id, r)
		}
	}
	if r := b.result(t, "message.shout", "f"); r.Status != subjects.StatusInvalid || r.ConversationID != subjects.StringID("42") {
		t.Errorf("%+v", r)
	}
	b.settled(t, 1)
	if len(p.done()) != 0 {
		t.Errorf("done: %v", p.done())
	}
	if n := b.letters(t); n != 7 {
		t.Errorf("%d dead letters", n)
	}
	stream, err := b.js.Stream(t.Context(), b.names.DeadStream())
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get(subjects.HeaderReason) == "" || m.Header.Get(subjects.HeaderOriginalSubject) == "" {
		t.Errorf("%v", m.Header)
	}
}

// TestEachConversationKeepsItsOrderThroughFailures is issue 4's storm, small.
func TestEachConversationKeepsItsOrderThroughFailures(t *testing.T) {
	const conversations, each = 20, 10
	b := newBus(t)
	p := newPlatform(t, b)
	dice := rand.New(rand.NewPCG(1, 2))
	p.behave = func(Operation, string, string, int) behaviour {
		switch dice.IntN(20) {
		case 0:
			return behaviour{refuse: errUnavailable}
		case 1:
			return behaviour{refuse: errTooFast}
		case 2:
			return behaviour{refuse: errRefused}
		case 3:
			return behaviour{lose: errLost}
		}
		return behaviour{}
	}
	for n := range each {
		for c := range conversations {
			b.send(t, fmt.Sprintf("%d-%d", c, n), c+1, fmt.Sprintf("text %d", n))
		}
	}
	r := newRunner(t, b, p, testConfig())
	run(t, r, 1)
	for n := range each {
		for c := range conversations {
			if got := b.result(t, subjects.MessageSend, fmt.Sprintf("%d-%d", c, n)); got.Status != subjects.StatusDone {
				t.Errorf("%d-%d: %+v", c, n, got)
			}
		}
	}
	checkOrder(t, p, conversations, each)
	if n := b.count(t, b.names.ResultsStream()); n != conversations*each {
		t.Errorf("%d results", n)
	}
}

func checkOrder(t *testing.T, p *platform, conversations, each int) {
	t.Helper()
	next := map[string]int{}
	for _, d := range p.done() {
		var n int
		if _, err := fmt.Sscanf(d.content, "text %d", &n); err != nil {
			t.Fatal(err)
		}
		if n != next[d.conversation] {
			t.Errorf("conversation %s: %d came when it was the turn of %d", d.conversation, n, next[d.conversation])
		}
		next[d.conversation] = n + 1
	}
	for c := range conversations {
		if n := next[fmt.Sprint(c+1)]; n != each {
			t.Errorf("conversation %d: %d of %d", c+1, n, each)
		}
	}
}

func TestACommandIDIsCarriedOutOnceAndAnsweredAgain(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	run(t, r, 1)
	inbox, err := b.conn.SubscribeSync(b.conn.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // ce-id, as the stream itself refuses a repeated Nats-Msg-Id
		b.command(t, subjects.MessageSend, "", `{"conversation_id":42,"content":"x"}`, subjects.HeaderCEID, "twice", subjects.HeaderReplyTo, inbox.Subject)
	}
	for range 3 {
		m, err := inbox.NextMsg(natstest.Patience)
		if err != nil {
			t.Fatal(err)
		}
		var got subjects.Result
		if err := json.Unmarshal(m.Data, &got); err != nil || got.Status != subjects.StatusDone || m.Header.Get(subjects.HeaderCommandID) != "twice" {
			t.Errorf("%s %v", m.Data, err)
		}
		if id := m.Header.Get(subjects.HeaderMsgID); id != "result-twice" || len(m.Header[subjects.HeaderMsgID]) != 1 {
			t.Errorf("the message id of the reply is %q", id)
		}
	}
	b.settled(t, 1)
	if n := len(p.done()); n != 1 {
		t.Errorf("done %d times", n)
	}
	if n := b.count(t, b.names.ResultsStream()); n != 1 {
		t.Errorf("%d results", n)
	}
}

func TestARefusalIsADeadLetterAndTheNextCommandGoesOn(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, content string, _ int) behaviour {
		if content == "bad" {
			return behaviour{refuse: errNotFound}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "1", 42, "bad")
	b.send(t, "2", 42, "good")
	if r := b.result(t, subjects.MessageSend, "1"); r.Status != subjects.StatusRefused || r.Reason != subjects.ReasonNotFound || r.HTTPStatus != 404 {
		t.Errorf("%+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "2"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := b.letters(t); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

func TestABudgetRunsOut(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{refuse: errUnavailable} }
	cfg := testConfig()
	cfg.RetryFor = 30 * time.Millisecond
	run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "1", 42, "x")
	r := b.result(t, subjects.MessageSend, "1")
	if r.Status != subjects.StatusExhausted || r.Reason != subjects.ReasonUnavailable || r.Attempts != p.attempts(PostMessage, "42", "x") {
		t.Errorf("%+v", r)
	}
	if n := b.letters(t); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

func TestAResultIsACloudEventAndCarriesTheTrace(t *testing.T) {
	b := newBus(t)
	run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 1)
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.command(t, subjects.MessageSend, "a b", `{"conversation_id":"4 2","content":"x"}`, subjects.HeaderTraceparent, trace, "Nats-TTL", "1h")
	b.result(t, subjects.MessageSend, "a b")
	stream, err := b.js.Stream(t.Context(), b.names.ResultsStream())
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	id := m.Header.Get(subjects.HeaderMsgID)
	for name, want := range map[string]string{
		subjects.HeaderCEID: id, subjects.HeaderCESpecVersion: "1.0", subjects.HeaderCESource: "//" + testTenant, subjects.HeaderCESubject: "4%202",
		subjects.HeaderCommandID: "a b", subjects.HeaderStatus: "done", subjects.HeaderTenant: testTenant, subjects.HeaderTraceparent: trace,
		subjects.HeaderContentType: "application/json", "Nats-TTL": "",
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("%s is %q instead of %q", name, got, want)
		}
	}
	if id == "" || m.Header.Get(subjects.HeaderCETime) == "" || m.Header.Get(subjects.HeaderCEType) == "" {
		t.Errorf("%v", m.Header)
	}
}
