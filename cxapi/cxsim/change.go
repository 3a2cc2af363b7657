package cxsim

import (
	"strings"
	"time"
)

// The changes of a tenant's state, each of which tells whoever is to know. The tenant is locked.

func (t *Tenant) addContact(name, email, phone string) *Contact {
	c := &Contact{ID: t.sim.contactIDs.Add(1), Name: name, Email: email, Phone: phone, CreatedAt: t.now()}
	t.contacts[c.ID] = c
	t.index(c)
	t.emit("contact_created", nil, nil, func() any { return contactEvent{Event: "contact_created", contactObject: t.contactObject(c)} })
	return c
}

// index makes a contact known by its addresses.
func (t *Tenant) index(c *Contact) {
	if c.Email != "" {
		t.byEmail[strings.ToLower(c.Email)] = c
	}
	if c.Phone != "" {
		t.byPhone[c.Phone] = c
	}
}

// link connects a contact with an inbox. It is nil when another contact has the source id there.
func (t *Tenant) link(c *Contact, in *inbox, sourceID string) *contactInbox {
	if sourceID == "" {
		sourceID = uuidOf(t.sim.opt.Seed, "source "+t.domain, t.sim.linkIDs.Load()+1)
	}
	key := linkKey{in.id, sourceID}
	if l := t.links[key]; l != nil {
		if l.contact != c {
			return nil
		}
		return l
	}
	l := &contactInbox{id: t.sim.linkIDs.Add(1), contact: c, inbox: in, sourceID: sourceID, createdAt: t.now()}
	t.links[key] = l
	if first := (contactAt{in.id, c.ID}); t.firstLinks[first] == nil {
		t.firstLinks[first] = l
	}
	return l
}

func (t *Tenant) addConversation(l *contactInbox, priority string) *conversation {
	t.lastDisplayID++
	now := t.now()
	c := &conversation{
		id: t.lastDisplayID, uuid: uuidOf(t.sim.opt.Seed, "conversation "+t.domain, t.lastDisplayID), link: l,
		status: t.initialStatus(l.inbox), priority: priority, createdAt: now, activityAt: now, updatedAt: now,
	}
	t.conversations[c.id], t.lastOf[l] = c, c
	t.emitConversation("conversation_created", c, nil)
	return c
}

// addMessage puts a message into a conversation and tells everybody.
func (t *Tenant) addMessage(c *conversation, m Message) *Message {
	now := t.now()
	m.ID, m.ConversationID, m.CreatedAt = t.sim.messageIDs.Add(1), c.id, now
	c.messages = append(c.messages, &m)
	c.updatedAt = now
	if m.Type == activity {
		return &m
	}
	c.activityAt = now
	t.countRecent(c, now)
	if m.Type == incoming && c.status == statusResolved {
		c.withHuman = false
		t.setStatus(c, t.initialStatus(c.link.inbox))
	}
	if !m.Private {
		c.lastPublicMessage = &m
	}
	changed := c.countMessage(&m)
	t.emit("message_created", c, &m, func() any { return t.messageEvent("message_created", c, &m) })
	if changed != nil {
		t.emitConversation("conversation_updated", c, changed)
	}
	return &m
}

// countMessage keeps the counts and times of the conversation and tells what changed of those that are reported.
func (c *conversation) countMessage(m *Message) changes {
	switch {
	case m.Type == incoming:
		c.unread++
		c.contactSeenAt = m.CreatedAt
		if c.waitingSince.IsZero() {
			c.waitingSince = m.CreatedAt
			return changes{change("waiting_since", nil, epoch(m.CreatedAt))}
		}
	case m.Type == outgoing && !m.Private && m.SenderType == senderUser:
		c.unread, c.agentSeenAt = 0, m.CreatedAt
		before := c.waitingSince
		c.waitingSince = time.Time{}
		if c.firstReplyAt.IsZero() {
			c.firstReplyAt = m.CreatedAt
			return changes{change("first_reply_created_at", nil, iso(m.CreatedAt))}
		}
		if !before.IsZero() {
			return changes{change("waiting_since", epoch(before), nil)}
		}
	}
	return nil
}

// setStatus changes the status and tells everybody. The same status again is no change.
func (t *Tenant) setStatus(c *conversation, status string) bool {
	before := c.status
	if before == status {
		return false
	}
	c.status, c.updatedAt = status, t.now()
	if status == statusResolved {
		c.resolvedAt = c.updatedAt
	}
	changed := changes{change("status", before, status)}
	switch status {
	case statusOpen:
		t.emitConversation("conversation_opened", c, nil)
	case statusResolved:
		t.emitConversation("conversation_resolved", c, nil)
	}
	t.emitConversation("conversation_status_changed", c, changed)
	t.emitConversation("conversation_updated", c, changed)
	return true
}
