package cxsim

import "encoding/json"

func (t *Tenant) accountObject() accountObject {
	return accountObject{ID: t.number(t.id), Name: t.account()}
}

func (t *Tenant) blocked() *bool {
	if !t.feat.blocked {
		return nil
	}
	return new(bool)
}

func (t *Tenant) contactObject(c *Contact) contactObject {
	return contactObject{
		Account: t.accountObject(), ID: t.number(c.ID), Name: c.Name, Email: orNull(c.Email),
		PhoneNumber: orNull(c.Phone), Blocked: t.blocked(),
	}
}

func (t *Tenant) metaContact(c *Contact) metaContact {
	return metaContact{
		ID: t.number(c.ID), Name: c.Name, Email: orNull(c.Email), PhoneNumber: orNull(c.Phone), Blocked: t.blocked(),
		Type: "contact",
	}
}

// sender is who wrote a message, in the form of message events; nil for the platform itself.
func (t *Tenant) sender(c *conversation, m *Message) any {
	switch m.SenderType {
	case senderContact:
		return t.contactObject(c.link.contact)
	case senderUser:
		if a := t.agent(m.SenderID); a != nil {
			return userObject{ID: t.number(a.id), Name: a.name, Email: a.email, Type: "user"}
		}
	case senderBot:
		if b := t.bot(m.SenderID); b != nil {
			return userObject{ID: t.number(b.id), Name: b.name, Type: "agent_bot"}
		}
	}
	return nil
}

func (t *Tenant) agent(id int64) *agent {
	for _, a := range append([]*agent{t.ownerUser}, t.agents...) {
		if a.id == id {
			return a
		}
	}
	return nil
}

func (t *Tenant) bot(id int64) *bot {
	if t.owner.id == id {
		return t.owner
	}
	for _, b := range t.bots {
		if b.id == id {
			return b
		}
	}
	return nil
}

func (t *Tenant) contentAttributes(m *Message) json.RawMessage {
	if len(m.Attributes) == 0 {
		return json.RawMessage("{}")
	}
	return m.Attributes
}

func (t *Tenant) rawMessage(c *conversation, m *Message) rawMessage {
	raw := rawMessage{
		ID: t.number(m.ID), Content: m.Content, AccountID: t.number(t.id), InboxID: t.number(c.link.inbox.id),
		ConversationID: t.number(c.id), MessageType: messageNumber(m.Type), CreatedAt: epoch(m.CreatedAt),
		UpdatedAt: iso(m.CreatedAt), Private: m.Private, Status: m.status(), SourceID: orNull(m.SourceID),
		ContentType: "text", ContentAttributes: t.contentAttributes(m), SenderType: orNull(m.SenderType),
		ProcessedMessageContent: m.Content, Sender: t.rawSender(c, m),
	}
	if m.SenderID != 0 {
		id := t.number(m.SenderID)
		raw.SenderID = &id
	}
	raw.Conversation.UnreadCount, raw.Conversation.LastActivityAt = c.unread, epoch(c.activityAt)
	raw.Conversation.ContactInbox.SourceID = c.link.sourceID
	if c.assignee != nil {
		id := t.number(c.assignee.id)
		raw.Conversation.AssigneeID = &id
	}
	return raw
}

func (m *Message) status() string {
	if m.Failed {
		return "failed"
	}
	return "sent"
}

// rawSender is the sender inside messages[], where a contact does have a type.
func (t *Tenant) rawSender(c *conversation, m *Message) any {
	if m.SenderType == senderContact {
		return t.metaContact(c.link.contact)
	}
	return t.sender(c, m)
}

func (t *Tenant) conversationObject(c *conversation) conversationObject {
	o := conversationObject{
		CanReply: true, Channel: c.link.inbox.Channel, ContactInbox: t.contactInboxObject(c.link), ID: t.number(c.id),
		InboxID: t.number(c.link.inbox.id), Messages: []rawMessage{}, Labels: []string{}, Meta: t.meta(c),
		Status: c.status, UnreadCount: c.unread, Priority: orNull(c.priority), WaitingSince: epoch(c.waitingSince),
		AgentLastSeenAt: epoch(c.agentSeenAt), ContactLastSeenAt: epoch(c.contactSeenAt),
		LastActivityAt: epoch(c.activityAt), Timestamp: epoch(c.activityAt), CreatedAt: epoch(c.createdAt),
	}
	if c.lastPublicMessage != nil {
		o.Messages = append(o.Messages, t.rawMessage(c, c.lastPublicMessage))
	}
	if !c.firstReplyAt.IsZero() {
		o.FirstReplyCreatedAt = orNull(iso(c.firstReplyAt))
	}
	if t.feat.updatedAt {
		at := float64(c.updatedAt.UnixMicro()) / 1e6
		o.UpdatedAt = &at
	}
	if t.feat.accountInside {
		account := t.accountObject()
		o.Account = &account
	}
	return o
}

func (t *Tenant) contactInboxObject(l *contactInbox) contactInboxObject {
	return contactInboxObject{
		ID: t.number(l.id), ContactID: t.number(l.contact.ID), InboxID: t.number(l.inbox.id), SourceID: l.sourceID,
		CreatedAt: iso(l.createdAt), UpdatedAt: iso(l.createdAt),
		PubsubToken: secretOf(t.sim.opt.Seed, "pubsub", l.id),
	}
}

func (t *Tenant) meta(c *conversation) metaObject {
	m := metaObject{Sender: t.metaContact(c.link.contact)}
	if c.assignee == nil {
		return m
	}
	m.Assignee = &assigneeObject{
		ID: t.number(c.assignee.id), Name: c.assignee.name, AvailableName: c.assignee.name, Type: "user",
		AvailabilityStatus: "online",
	}
	if t.feat.assigneeType {
		m.AssigneeType = orNull(senderUser)
	}
	return m
}

func (t *Tenant) messageEvent(name string, c *conversation, m *Message) messageEvent {
	return messageEvent{
		Event: name, Account: t.accountObject(), ContentAttributes: t.contentAttributes(m), ContentType: "text",
		Content: t.feat.shown(m.Content), Conversation: t.conversationObject(c), CreatedAt: iso(m.CreatedAt),
		ID: t.number(m.ID), Inbox: inboxObject{t.number(c.link.inbox.id), c.link.inbox.Name}, MessageType: m.Type,
		Private: m.Private, Sender: t.sender(c, m), SourceID: orNull(m.SourceID),
	}
}
