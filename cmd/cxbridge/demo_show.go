package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

// script is what the customer says, each line after the bot's answer to the one before.
func script() []string {
	return []string{"Where is my parcel?", "I would rather talk to a human."}
}

// story follows the conversation and moves it on.
type story struct {
	*demo
	conversation int64
	turn         int // lines of the script that were said
	next         *time.Timer
	move         func() error // what happens at next
	answered     bool         // the bot's first answer came back as an event
	settled      bool         // its command has a result
	told         bool         // what to try
}

// show tells the story until ctx ends, or until the first round trip.
func (d *demo) show(ctx context.Context, seen <-chan *nats.Msg) error {
	s := &story{demo: d, next: time.NewTimer(0)}
	defer s.next.Stop()
	s.move = s.begin
	for {
		select {
		case <-ctx.Done():
			return say(d.out, "\nStopped. Nothing is left behind.")
		case err := <-d.ended:
			d.ended <- nil
			return err
		case <-s.next.C:
			if err := s.move(); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
		case m := <-seen:
			if err := s.tell(m); err != nil {
				return err
			}
			if d.options.once && s.answered && s.settled {
				return say(d.out, "\nThe round trip is complete.")
			}
		}
	}
}

// begin opens a conversation as the vendor's chat widget does.
func (s *story) begin() error {
	if err := say(s.out, "A customer opens a chat. Each line shows the subject on NATS that carried it.\n"); err != nil {
		return err
	}
	c, err := s.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "Hello, is anybody there?"})
	s.conversation = c.ID
	return err
}

// after does something after a pause.
func (s *story) after(move func() error) {
	s.move = move
	s.next.Reset(s.options.pace)
}

// tell shows a message and decides what it leads to.
func (s *story) tell(m *nats.Msg) error {
	if err := say(s.out, "%s", line(s.names, m)); err != nil {
		return err
	}
	if !s.own(m) {
		return nil
	}
	switch {
	case m.Header.Get(subjects.HeaderEvent) == subjects.EventMessageCreated && m.Header.Get(subjects.HeaderOrigin) == string(subjects.OriginBot):
		s.answered = true
		if s.turn < len(script()) {
			s.turn++
			s.after(func() error { _, err := s.sim.CustomerSays(s.conversation, script()[s.turn-1]); return err })
		}
	case strings.HasPrefix(m.Subject, s.names.Prefix()+".result."+string(subjects.MessageSend)):
		s.settled = true
	case strings.HasPrefix(m.Subject, s.names.Prefix()+".result."+string(subjects.ConversationHandoff)) && !s.told:
		s.told = true
		s.after(s.agent)
	}
	return nil
}

// own reports whether a message is of the scripted conversation, and not of one in a browser.
func (s *story) own(m *nats.Msg) bool {
	id := m.Header.Get(subjects.HeaderConversationID)
	if id == "" {
		var r subjects.Result
		if json.Unmarshal(m.Data, &r) != nil {
			return false
		}
		id = r.ConversationID.String()
	}
	return id == strconv.FormatInt(s.conversation, 10)
}

// agent is the human who takes over.
func (s *story) agent() error {
	if _, err := s.sim.AgentSays(s.conversation, "Hi, this is Alex. Let me look for your parcel."); err != nil {
		return err
	}
	s.after(s.advise)
	return nil
}

// advise tells what to try next.
func (s *story) advise() error {
	tool := "nats"
	note := ""
	if _, err := exec.LookPath(tool); err != nil {
		tool = "go run github.com/nats-io/natscli/nats@latest"
		note = " (the command nats is not installed; this fetches it)"
	}
	server := s.bridge.NATSURL()
	return say(s.out, `
That was all by itself. Now chat with the bot in your browser, ask it for an agent, answer yourself, and watch it on the console:

  %s/
  %s%s
  http://%s/

Or try, in another terminal%s:

  %s -s %s sub '%s.>'
  %s -s %s pub %s '{"conversation_id": %d, "content": "Hello from the shell"}'
  curl -X POST http://%s/webhooks/%s -H 'Content-Type: application/json' \
    -d '{"event": "message_created", "id": 123456, "message_type": "incoming", "content": "Hello by webhook", "conversation": {"id": %d}, "sender": {"id": 1, "name": "Ann"}}'
  curl http://%s/readyz

Ctrl-C ends it.
`, s.chat, s.chat, agentPath, s.bridge.AdminAddr(), note, tool, server, s.names.Prefix(), tool, server, s.names.Command(subjects.MessageSend), s.conversation,
		s.bridge.WebhookAddr(), s.token, s.conversation, s.bridge.AdminAddr())
}

// line shows a message in one line.
func line(names subjects.Names, m *nats.Msg) string {
	subject := m.Subject
	if len(subject) > 44 {
		subject = subject[:43] + "…"
	}
	return fmt.Sprintf("%-44s  %s", subject, summary(names, m))
}

func summary(names subjects.Names, m *nats.Msg) string {
	rest := strings.TrimPrefix(m.Subject, names.Prefix()+".")
	switch {
	case strings.HasPrefix(rest, "cmd."):
		return asker(m) + " asks: " + quoted(m.Data, "content", "conversation_id", "contact")
	case strings.HasPrefix(rest, "rpc."), strings.HasPrefix(rest, "schedule."):
		return "somebody asks: " + quoted(m.Data, "content", "conversation_id", "contact")
	case strings.HasPrefix(rest, "result."):
		return "bridge: " + result(m.Data)
	case strings.HasPrefix(rest, "dead."):
		return "dead letter: " + m.Header.Get(subjects.HeaderReason) + ": " + m.Header.Get(subjects.HeaderDetail)
	case m.Header.Get(subjects.HeaderOrigin) != "":
		return m.Header.Get(subjects.HeaderOrigin) + " says: " + quoted(m.Data, "content")
	}
	text := "CX: conversation " + m.Header.Get(subjects.HeaderConversationID)
	var changed struct {
		Status string `json:"status"`
	}
	if strings.HasSuffix(m.Subject, ".status_changed") && json.Unmarshal(m.Data, &changed) == nil {
		text += " is " + changed.Status
	}
	return text
}

// asker is who published a command.
func asker(m *nats.Msg) string {
	if strings.HasPrefix(m.Header.Get(subjects.HeaderMsgID), "widget-") {
		return "widget"
	}
	return "bot"
}

// quoted returns the first of the members that a body has.
func quoted(body []byte, members ...string) string {
	var object map[string]any
	if err := json.Unmarshal(body, &object); err != nil {
		return fmt.Sprintf("%.80q", body)
	}
	for _, name := range members {
		if v, ok := object[name]; ok && v != nil {
			switch name {
			case "conversation_id":
				return fmt.Sprintf("conversation %v", v)
			case "contact":
				return "a conversation"
			}
			return fmt.Sprintf("%q", v)
		}
	}
	return ""
}

func result(body []byte) string {
	var r subjects.Result
	if err := json.Unmarshal(body, &r); err != nil {
		return err.Error()
	}
	took := r.FinishedAt.Sub(r.ReceivedAt.Time).Round(time.Millisecond)
	text := fmt.Sprintf("%s %s after %s", r.Command, r.Status, took)
	if r.Status != subjects.StatusDone {
		text += fmt.Sprintf(" (%s: %s)", r.Reason, r.Detail)
	}
	return text
}
