package explain_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestAConversationIsToldWithAllItsCommands(t *testing.T) {
	b := start(t)
	b.publish("cx.message.created", map[string]any{"content": "a secret text"}, "Nats-Msg-Id", "e1", "Cx-Event", "message_created",
		"Cx-Message-Id", "1", "Cx-Conversation-Id", "42", "Cx-Origin", "customer")
	b.publish("cx.message.created", nil, "Nats-Msg-Id", "e2", "Cx-Event", "message_created", "Cx-Message-Id", "2", "Cx-Conversation-Id", "43")

	// One command is done, another is parked, a third waits, and a fourth is of another conversation.
	body := func(conversation any) map[string]any {
		return map[string]any{"conversation_id": conversation, "content": "a secret text"}
	}
	ended := func(id string, status subjects.Status, conversation int64) subjects.Result {
		return subjects.Result{CommandID: id, Command: subjects.MessageSend, Status: status, ConversationID: subjects.NumberID(conversation), Attempts: 1}
	}
	for _, id := range []string{"done", "parked"} {
		b.publish("cx.cmd.message.send", body(42), "Nats-Msg-Id", id)
		b.claim(id)
		r := ended(id, subjects.StatusDone, 42)
		if id == "parked" {
			r.Status, r.Reason = subjects.StatusUnknown, subjects.ReasonOutcomeUnknown
			err := deadletter.Put(b.ctx(), b.js, b.names, deadletter.Letter{
				Subject: b.names.DeadCommand(subjects.MessageSend), CommandID: id, Status: r.Status, Reason: r.Reason, Attempts: 1, FailedAt: time.Now(),
				Original: deadletter.Original{Subject: "cx.cmd.message.send", Data: []byte(`{"content":"a secret text"}`)},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		b.settle(r)
		b.publish(b.names.Result(r.Command, id), r, "Cx-Command-Id", id)
	}
	b.publish("cx.cmd.message.send", body("42"), "Nats-Msg-Id", "waits")
	b.publish("cx.cmd.message.send", body(43), "Nats-Msg-Id", "elsewhere")
	r := ended("elsewhere", subjects.StatusDone, 43)
	b.publish(b.names.Result(r.Command, r.CommandID), r, "Cx-Command-Id", r.CommandID)

	a, err := b.explain.Conversation(b.ctx(), "42", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	b.tells(a, explain.Event, explain.Published, explain.Claimed, explain.Settled, explain.Result,
		explain.Published, explain.Claimed, explain.Settled, explain.Result, explain.DeadLetter, explain.Published)
	if a.Remarks == nil {
		t.Error("remarks are null in JSON")
	}
	states := map[string]string{}
	for _, c := range a.Commands {
		states[c.ID] = c.State
	}
	if len(states) != 3 || states["done"] != "done" || states["parked"] != "unknown" || states["waits"] != "waiting" {
		t.Errorf("commands = %v", states)
	}
	if strings.Contains(show(a), "secret") {
		t.Errorf("the account tells of a body:\n%s", show(a))
	}
	if _, err := b.explain.Conversation(b.ctx(), "44", time.Now().Add(-time.Hour)); !errors.Is(err, explain.ErrUnknown) {
		t.Errorf("a conversation that nobody knows: %v", err)
	}
	if _, err := b.explain.Conversation(b.ctx(), "42", time.Now().Add(time.Hour)); err != nil {
		t.Errorf("a conversation of which only an open command is left: %v", err)
	}
}
