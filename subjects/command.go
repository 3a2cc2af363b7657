package subjects

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// The directions of a message.
const (
	Outgoing = "outgoing" // shown as a message of the bot
	Incoming = "incoming" // shown as a message of the customer
)

// Command is a decoded command: its kind, and the one part that belongs to the kind.
type Command struct {
	Kind   Kind
	Tenant string // tenant_domain of the body; empty if it was left out

	Message      *SendMessage       // of MessageSend
	Start        *StartConversation // of ConversationStart
	Conversation *ConversationRef   // of ConversationHandoff and ConversationFinish
	Contact      *CreateContact     // of ContactCreate
}

// SendMessage asks to post a message into a conversation.
type SendMessage struct {
	ConversationID ID
	Content        string // not empty
	MessageType    string // Outgoing or Incoming
}

// StartConversation asks to start a conversation, either with a contact that is known, or with one that is created from its details.
type StartConversation struct {
	InboxID        ID
	ContactID      ID     // with SourceID: a known contact
	SourceID       string // the contact's id at its channel
	Contact        *ContactDetails
	Priority       *int64 // passed on as it is; nil to leave it out
	InitialMessage string
}

// ConversationRef names the conversation that a handoff or a finish is about.
type ConversationRef struct{ ConversationID ID }

// ContactDetails describe a contact. One of Email and PhoneNumber is always there.
type ContactDetails struct{ Name, Email, PhoneNumber string }

// CreateContact asks to create a contact in an inbox.
type CreateContact struct {
	InboxID ID
	ContactDetails
}

// SourceID returns the id of a contact at its channel as the vendor documents it: the email, else the phone number.
func (d ContactDetails) SourceID() string {
	if d.Email != "" {
		return d.Email
	}
	return d.PhoneNumber
}

// ConversationID returns the id of the conversation that the command is about, if it is about one.
func (c Command) ConversationID() ID {
	switch {
	case c.Message != nil:
		return c.Message.ConversationID
	case c.Conversation != nil:
		return c.Conversation.ConversationID
	}
	return ID{}
}

// OrderKey returns the key within which commands keep their order: the conversation, or, for commands that start a conversation or create
// a contact, the contact (its email, else its phone number, else its id).
func (c Command) OrderKey() string {
	switch {
	case c.Message != nil || c.Conversation != nil:
		return "conversation/" + c.ConversationID().String()
	case c.Contact != nil:
		return contactKey(c.Contact.ContactDetails)
	case c.Start != nil && c.Start.Contact != nil:
		return contactKey(*c.Start.Contact)
	case c.Start != nil:
		return "contact/" + c.Start.ContactID.String()
	}
	return ""
}

// LaneName names the lane of an order key to people, without telling who the contact is.
func LaneName(orderKey string) string {
	kind, who, _ := strings.Cut(orderKey, "/")
	if kind != "contact" && kind != "long" {
		return orderKey
	}
	sum := sha256.Sum256([]byte(who))
	return kind + "/" + hex.EncodeToString(sum[:6])
}

// contactKey ignores the case of an email, because the vendor does.
func contactKey(d ContactDetails) string {
	return "contact/" + strings.ToLower(d.SourceID())
}
