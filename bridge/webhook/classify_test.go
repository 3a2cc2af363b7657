package webhook

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// echoes maps what is known of own messages to the command: a message id, or conversation, type and fingerprint.
type echoes map[string]string

func (e echoes) EchoOf(conversationID, messageID, messageType string, fingerprint func() string) (string, bool) {
	if id, ok := e[messageID]; ok {
		return id, true
	}
	print := fingerprint()
	id, ok := e[conversationID+"/"+messageType+"/"+print]
	return id, ok && print != ""
}

func withEchoes(e Echo) func(*Config, *Deps) {
	return func(_ *Config, d *Deps) { d.Echo, d.Fingerprint = e, func(s string) string { return "print of " + s } }
}

func TestWhoWroteIt(t *testing.T) {
	user, bot := `{"id":8,"type":"user"}`, `{"id":2,"type":"agent_bot"}`
	for name, test := range map[string]struct {
		kind, sender string
		want         subjects.Origin
	}{
		"customer without a type":   {`"incoming"`, `{"id":7}`, "customer"},
		"customer with a type":      {`"incoming"`, `{"id":7,"type":"contact"}`, "customer"},
		"incoming without a sender": {`0`, `null`, "customer"},
		"agent":                     {`"outgoing"`, user, "agent"},
		"agent, as a number":        {`1`, `{"type":"User"}`, "agent"},
		"bot":                       {`"outgoing"`, bot, "bot"},
		"bot, other spelling":       {`1`, `{"type":"AgentBot"}`, "bot"},
		"greeting":                  {`"template"`, `null`, "system"},
		"activity":                  {`2`, user, "system"},
		"outgoing without a sender": {`"outgoing"`, `null`, "unknown"},
		"incoming of an agent":      {`"incoming"`, user, "agent"},
		"a sender of another kind":  {`"incoming"`, `{"type":"robot"}`, "unknown"},
		"nothing":                   {`null`, `null`, "unknown"},
	} {
		t.Run(name, func(t *testing.T) {
			h := setup(t, nil)
			h.post(fmt.Sprintf(`{"event":"message_created","id":1,"message_type":%s,"sender":%s}`, test.kind, test.sender))
			if got := h.only(t).Header.Get(subjects.HeaderOrigin); got != string(test.want) {
				t.Errorf("origin %q, want %q", got, test.want)
			}
		})
	}
}

func TestOwnMessagesAreEchoes(t *testing.T) {
	agent := `{"id":8,"type":"user"}`
	for name, test := range map[string]struct {
		known      echoes
		body       string
		echo, from string
	}{
		"by message id":           {echoes{"5": "c1"}, says(12, 5, "outgoing", agent), "c1", "bot"},
		"before the API answered": {echoes{"12/outgoing/print of text 5": "c2"}, says(12, 5, "outgoing", agent), "c2", "bot"},
		"a customer's words":      {echoes{"5": "c3"}, says(12, 5, "incoming", `{"id":7}`), "c3", "customer"},
		"of somebody else":        {echoes{"6": "c4"}, says(12, 5, "outgoing", agent), "", "agent"},
		"an update, by its id":    {echoes{"5": "c5"}, with(says(12, 5, "outgoing", agent), "message_created", "message_updated"), "c5", "bot"},
		"an update, by its text": {
			echoes{"12/outgoing/print of text 5": "c6"}, with(says(12, 5, "outgoing", agent), "message_created", "message_updated"), "", "agent",
		},
		"an odd command id": {echoes{"5": "a b\n"}, says(12, 5, "outgoing", agent), "a%20b%0A", "bot"},
	} {
		t.Run(name, func(t *testing.T) {
			h := setup(t, withEchoes(test.known))
			h.post(test.body)
			header := h.only(t).Header
			if header.Get(subjects.HeaderEchoOf) != test.echo || header.Get(subjects.HeaderOrigin) != test.from {
				t.Errorf("headers %v", header)
			}
		})
	}
}

func TestConversationEventsHaveNoOrigin(t *testing.T) {
	h := setup(t, nil)
	h.post(conversation)
	for _, name := range []string{subjects.HeaderOrigin, subjects.HeaderPrivate, subjects.HeaderMessageID, subjects.HeaderMessageType} {
		if v, ok := h.only(t).Header[name]; ok {
			t.Errorf("%s is %q", name, v)
		}
	}
}

func (h *harness) marked() (marked []bool) {
	for _, msg := range h.bus.messages() {
		marked = append(marked, msg.Header.Get(subjects.HeaderLoop) == "true")
	}
	return marked
}

func TestTheLoopGuardMarksConversationsInWhichOnlyBotsTalk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := setup(t, func(c *Config, _ *Deps) { c.MaxBotTurns = 3 })
		next := 0
		check := func(body func(conversation, message int) string, conversation int, want bool) {
			t.Helper()
			next++
			h.post(body(conversation, next))
			if marked := h.marked(); marked[len(marked)-1] != want {
				t.Errorf("message %d is marked: %v, want %v", next, marked[len(marked)-1], want)
			}
		}
		for range 3 {
			check(botSays, 1, false)
		}
		h.post(botSays(1, 3)) // The same again does not count.
		check(botSays, 1, true)
		check(botSays, 2, false)
		check(customerSays, 1, false)
		for range 3 {
			check(botSays, 1, false)
		}
		time.Sleep(time.Minute)
		check(botSays, 1, false)
		for range 2 {
			check(botSays, 1, false)
		}
		check(botSays, 1, true)
	})
}

func TestTheLoopGuardsMemoryIsBounded(t *testing.T) {
	g := newLoopGuard(2)
	for i := range 3 * loopMemory {
		e := event{name: "message_created", conversationID: fmt.Sprint(i), messageID: "1"}
		g.observe(&e, subjects.OriginBot, testTime)
	}
	if n := len(g.conversations); n > loopMemory {
		t.Errorf("%d conversations", n)
	}
}
