package cxsim

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Visitor is somebody who opens the vendor's chat widget.
type Visitor struct {
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone_number"`
	// InboxID is where they do so; the first web widget when zero.
	InboxID int64 `json:"inbox_id"`
	// Text is the first thing they write; they write nothing yet when it is empty.
	Text string `json:"text"`
}

// NewConversation is what the vendor's widget does when a visitor starts a chat. A visitor whose email or phone number
// is known is the same contact again.
func (t *Tenant) NewConversation(v Visitor) (Conversation, error) {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	in := t.inboxOf(ChannelWebWidget)
	if v.InboxID != 0 {
		in = t.inbox(v.InboxID)
	}
	if in == nil {
		return Conversation{}, fmt.Errorf("new conversation: inbox %d: not found", v.InboxID)
	}
	contact, err := t.visitor(v)
	if err != nil {
		return Conversation{}, fmt.Errorf("new conversation: %w", err)
	}
	l := t.linkOf(contact, in)
	t.emitWidget(l)
	c := t.addConversation(l, "")
	if v.Text != "" {
		t.addMessage(c, Message{Type: incoming, Content: v.Text, SenderType: senderContact, SenderID: contact.ID})
	}
	if in.Greeting != "" {
		t.addMessage(c, Message{Type: template, Content: in.Greeting})
	}
	return c.view(), nil
}

func (t *Tenant) visitor(v Visitor) (*Contact, error) {
	if c := t.byEmail[strings.ToLower(v.Email)]; v.Email != "" && c != nil {
		return c, nil
	}
	if c := t.byPhone[v.Phone]; v.Phone != "" && c != nil {
		return c, nil
	}
	if t.contactRules(v.Email, v.Phone) != nil {
		return nil, errors.New("the email or the phone number is malformed")
	}
	return t.addContact(v.Name, v.Email, v.Phone), nil
}

// linkOf finds how a contact is known in an inbox.
func (t *Tenant) linkOf(c *Contact, in *inbox) *contactInbox {
	if l := t.firstLinks[contactAt{in.id, c.ID}]; l != nil {
		return l
	}
	return t.link(c, in, "")
}

// CustomerSays is a message that the customer writes on the vendor's side. It opens a resolved conversation again.
func (t *Tenant) CustomerSays(id int64, text string) (Message, error) {
	return t.says(id, text, func(c *conversation) Message {
		return Message{Type: incoming, SenderType: senderContact, SenderID: c.link.contact.ID}
	})
}

// AgentSays is an answer of the human agent, who picks the conversation up by it if nobody has.
func (t *Tenant) AgentSays(id int64, text string) (Message, error) {
	return t.says(id, text, func(c *conversation) Message {
		t.assign(c)
		return Message{Type: outgoing, SenderType: senderUser, SenderID: c.assignee.id}
	})
}

// AgentNotes is a private note of the human agent. Webhooks get it, marked as private; it is not for the customer.
func (t *Tenant) AgentNotes(id int64, text string) (Message, error) {
	return t.says(id, text, func(*conversation) Message {
		return Message{Type: outgoing, Private: true, SenderType: senderUser, SenderID: t.agents[0].id}
	})
}

// SystemSays is a message of the platform itself: a greeting, an automation, a survey.
func (t *Tenant) SystemSays(id int64, text string) (Message, error) {
	return t.says(id, text, func(*conversation) Message { return Message{Type: template} })
}

func (t *Tenant) says(id int64, text string, who func(*conversation) Message) (Message, error) {
	if text == "" || utf8.RuneCountInString(text) > maxContent {
		return Message{}, fmt.Errorf("say in conversation %d: the text is empty or longer than %d characters", id, maxContent)
	}
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	c, err := t.find(id)
	if err != nil {
		return Message{}, err
	}
	m := who(c)
	m.Content = text
	return *t.addMessage(c, m), nil
}

// AgentPicksUp makes the human agent the assignee, and the conversation open.
func (t *Tenant) AgentPicksUp(id int64) error {
	return t.with(id, func(c *conversation) { t.assign(c) })
}

// AgentResolves ends a conversation.
func (t *Tenant) AgentResolves(id int64) error {
	return t.with(id, func(c *conversation) {
		c.withHuman = false
		t.setStatus(c, statusResolved)
	})
}

// AgentReturns gives a conversation back to the bot.
func (t *Tenant) AgentReturns(id int64) error {
	return t.with(id, func(c *conversation) {
		c.withHuman = false
		c.assignee = nil
		t.setStatus(c, statusPending)
	})
}

// CustomerTypes tells that the customer has begun or stopped typing, which only newer profiles report.
func (t *Tenant) CustomerTypes(id int64, on bool) error {
	event := "conversation_typing_off"
	if on {
		event = "conversation_typing_on"
	}
	return t.with(id, func(c *conversation) {
		t.emit(event, c, nil, func() any {
			return typingEvent{Event: event, User: t.contactObject(c.link.contact), Conversation: t.conversationObject(c)}
		})
	})
}

// EditMessage changes the content of a message, which is reported as message_updated.
func (t *Tenant) EditMessage(id, message int64, text string) error {
	found := false
	err := t.with(id, func(c *conversation) {
		found = t.changeMessage(c, message, func(m *Message) { m.Content = text })
	})
	if err == nil && !found {
		return fmt.Errorf("edit message %d of conversation %d: not found", message, id)
	}
	return err
}

// messageFailed marks a message that the webhook of the inbox did not take, which everybody is told.
func (t *Tenant) messageFailed(id, message int64) {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	if c := t.conversations[id]; c != nil {
		t.changeMessage(c, message, func(m *Message) { m.Failed = true })
	}
}

// changeMessage changes a message and tells everybody. Events that wait keep the message as it was.
func (t *Tenant) changeMessage(c *conversation, id int64, change func(*Message)) (found bool) {
	for i, m := range c.messages {
		if m.ID != id || m.Type == activity {
			continue
		}
		changed := *m
		change(&changed)
		c.messages[i], found = &changed, true
		if c.lastPublicMessage == m {
			c.lastPublicMessage = &changed
		}
		c.updatedAt = t.now()
		t.emit("message_updated", c, &changed, func() any { return t.messageEvent("message_updated", c, &changed) })
	}
	return found
}

// ChangeContact gives a contact another name, email or phone number, which is reported as contact_updated. What is
// empty stays as it is.
func (t *Tenant) ChangeContact(id int64, name, email, phone string) error {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	old := t.contacts[id]
	if old == nil {
		return fmt.Errorf("change contact %d: not found", id)
	}
	if email != "" && t.contactRules(email, "") != nil || phone != "" && t.contactRules("", phone) != nil {
		return fmt.Errorf("change contact %d: the email or the phone number is malformed or taken", id)
	}
	delete(t.byEmail, strings.ToLower(old.Email))
	delete(t.byPhone, old.Phone)
	var changed changes
	for _, c := range []struct {
		name  string
		field *string
		value string
	}{{"name", &old.Name, name}, {"email", &old.Email, email}, {"phone_number", &old.Phone, phone}} {
		if c.value != "" {
			changed = append(changed, change(c.name, *c.field, c.value))
			*c.field = c.value
		}
	}
	t.index(old)
	t.emit("contact_updated", nil, nil, func() any { return contactEvent{"contact_updated", t.contactObject(old), changed} })
	return nil
}

func (t *Tenant) with(id int64, change func(*conversation)) error {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	c, err := t.find(id)
	if err != nil {
		return err
	}
	change(c)
	return nil
}

// changed tells those who wait, once the tenant is unlocked.
func (t *Tenant) changed() { t.sim.waiting.wake() }

// assign gives the conversation to the human agent, unless somebody has it.
func (t *Tenant) assign(c *conversation) {
	c.withHuman = true
	if c.assignee == nil {
		c.assignee, c.updatedAt = t.agents[0], t.now()
		t.addMessage(c, Message{Type: activity, Content: c.assignee.name + " joined the conversation"})
		t.emitConversation("conversation_updated", c, changes{change("assignee_id", nil, c.assignee.id)})
	}
	t.setStatus(c, statusOpen)
}

// botFailed is what newer platforms do when a message could not be given to the bot: the agents get the conversation.
func (t *Tenant) botFailed(id int64) {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	c := t.conversations[id]
	if c == nil || c.status != statusPending {
		return
	}
	t.addMessage(c, Message{Type: activity, Content: "Conversation was marked open by system due to an error with the agent bot."})
	c.withHuman = true
	t.setStatus(c, statusOpen)
}

func (t *Tenant) emitWidget(l *contactInbox) {
	// It stands for the conversation that is about to begin, so that its deliveries are in order with that one's.
	stand := &conversation{id: t.lastDisplayID + 1, link: l}
	t.emit("webwidget_triggered", stand, nil, func() any {
		return widgetEvent{
			Event: "webwidget_triggered", ID: t.number(l.id), Contact: t.contactObject(l.contact),
			Inbox: inboxObject{t.number(l.inbox.id), l.inbox.Name}, Account: t.accountObject(), SourceID: l.sourceID,
			EventInfo: widgetInfo{WidgetLanguage: "en", BrowserLanguage: "en"},
		}
	})
}
