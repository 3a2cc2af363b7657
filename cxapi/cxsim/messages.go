package cxsim

import (
	"bytes"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

const maxContent = 150_000 // characters

func (t *Tenant) sendMessage(r *request, e *Entry) reply {
	switch {
	case !r.ConversationID.set:
		return *missing("conversation_id")
	case r.Content == "":
		return *missing("content")
	}
	c := t.conversations[r.ConversationID.n]
	if c == nil {
		return *notFound()
	}
	m := Message{Type: r.MessageType, Content: r.Content}
	fallback(&m.Type, outgoing)
	if t.sim.opt.PassThrough {
		m.SourceID, m.Private = r.SourceID, r.Private
		if t.feat.keepsAttributes && bytes.HasPrefix(r.ContentAttributes, []byte("{")) {
			m.Attributes = bytes.Clone(r.ContentAttributes)
		}
	}
	if refused := t.messageRules(c.link.inbox, m); refused != nil {
		return *refused
	}
	if t.tooMany(c) {
		return *no(http.StatusUnprocessableEntity, "Validation failed: Too many messages")
	}
	added := t.addMessage(c, t.fromAPI(c, m))
	e.MessageID, e.MessageType, e.Content = added.ID, added.Type, added.Content
	bare := t.restMessage(c, added)
	return t.created(bare, bare)
}

// messageRules tells why there cannot be such a message, nil if there can.
func (t *Tenant) messageRules(in *inbox, m Message) *reply {
	switch {
	case m.Type != incoming && m.Type != outgoing:
		return no(http.StatusUnprocessableEntity, "'"+m.Type+"' is not a valid message_type")
	case m.Type == incoming && in.Channel != ChannelAPI:
		return no(http.StatusUnprocessableEntity, "Incoming messages are only allowed in Api inboxes")
	case utf8.RuneCountInString(m.Content) > maxContent:
		return no(http.StatusUnprocessableEntity,
			"Validation failed: Content is too long (maximum is 150000 characters)")
	}
	return nil
}

// fromAPI names the sender of a message that the API posts: an incoming one is the contact's, an outgoing one is of
// the bot of the inbox, or of the owner of the token.
func (t *Tenant) fromAPI(c *conversation, m Message) Message {
	switch {
	case m.Type == incoming:
		m.SenderType, m.SenderID = senderContact, c.link.contact.ID
	case t.sim.opt.OutgoingByUser:
		m.SenderType, m.SenderID = senderUser, t.ownerUser.id
	case c.link.inbox.bot != nil:
		m.SenderType, m.SenderID = senderBot, c.link.inbox.bot.id
	default:
		m.SenderType, m.SenderID = senderBot, t.owner.id
	}
	return m
}

// tooMany tells whether the conversation has had its messages of this minute.
func (t *Tenant) tooMany(c *conversation) bool {
	limit := t.sim.opt.MessagesPerMinute
	if limit < 0 {
		return false
	}
	since := t.now().Add(-time.Minute)
	c.recent = slices.DeleteFunc(c.recent, func(at time.Time) bool { return !at.After(since) })
	return len(c.recent) >= limit
}

// countRecent keeps the times that matter for the cap: not more than twice as many as it allows.
func (t *Tenant) countRecent(c *conversation, at time.Time) {
	limit := t.sim.opt.MessagesPerMinute
	if limit < 0 {
		return
	}
	if len(c.recent) >= 2*limit {
		c.recent = slices.Delete(c.recent, 0, limit)
	}
	c.recent = append(c.recent, at)
}
