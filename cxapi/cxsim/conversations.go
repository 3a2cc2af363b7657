package cxsim

import (
	"encoding/json"
	"net/http"
	"strconv"
)

func (t *Tenant) createConversation(r *request, e *Entry) reply {
	switch {
	case !r.InboxID.set:
		return *missing("inbox_id")
	case !r.ContactID.set:
		return *missing("contact_id")
	}
	in, contact := t.inbox(r.InboxID.n), t.contacts[r.ContactID.n]
	if in == nil || contact == nil {
		return *notFound()
	}
	priority, ok := parsePriority(r.Priority)
	if !ok {
		return *no(http.StatusUnprocessableEntity, "'"+string(r.Priority)+"' is not a valid priority")
	}
	initial := Message{Type: t.sim.opt.InitialMessageType, Content: r.InitialMessage}
	if r.InitialMessage != "" {
		if refused := t.messageRules(in, initial); refused != nil {
			return *refused
		}
	}
	l := t.link(contact, in, r.SourceID)
	if l == nil {
		return *no(http.StatusUnprocessableEntity, "source_id should be unique")
	}
	c := t.lastOf[l]
	if c == nil || !in.LockToSingle {
		c = t.addConversation(l, priority)
	}
	e.ConversationID, e.ContactID = c.id, contact.ID
	if r.InitialMessage != "" {
		m := t.addMessage(c, t.fromAPI(c, initial))
		e.MessageID, e.MessageType, e.Content = m.ID, m.Type, m.Content
	}
	bare := t.restConversation(c)
	return t.created(bare, bare)
}

// parsePriority takes a number, of which those that the platform knows have names, or a name.
func parsePriority(raw json.RawMessage) (name string, ok bool) {
	names := []string{"low", "medium", "high", "urgent"}
	if len(raw) == 0 || string(raw) == "null" {
		return "", true
	}
	if n, err := strconv.Atoi(string(raw)); err == nil {
		if n >= 0 && n < len(names) {
			return names[n], true
		}
		return "", true
	}
	for _, known := range names {
		if string(raw) == strconv.Quote(known) {
			return known, true
		}
	}
	return "", false
}

func (t *Tenant) deliverToAgent(r *request) reply {
	return t.changeStatus(r, statusOpen, func(c *conversation) bool {
		already := c.status == statusOpen && c.withHuman
		c.withHuman = true
		return already
	})
}

func (t *Tenant) finish(r *request) reply {
	return t.changeStatus(r, statusResolved, func(c *conversation) bool {
		already := c.status == statusResolved
		c.withHuman = false
		return already
	})
}

func (t *Tenant) changeStatus(r *request, status string, mark func(*conversation) (already bool)) reply {
	if !r.ConversationID.set {
		return *missing("conversation_id")
	}
	c := t.conversations[r.ConversationID.n]
	if c == nil {
		return *notFound()
	}
	if mark(c) && t.sim.opt.StrictStatus {
		return *no(http.StatusUnprocessableEntity, "Conversation is already "+status)
	}
	t.setStatus(c, status)
	bare := restStatus{Success: new(true), ConversationID: t.number(c.id), CurrentStatus: c.status}
	if status == statusOpen && c.link.inbox.bot != nil {
		bare.Success = nil // as the platform answers the hand-over of a bot
	}
	return reply{status: http.StatusOK, native: map[string]any{"meta": object{}, "payload": bare}, bare: bare}
}
