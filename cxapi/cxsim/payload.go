package cxsim

import (
	"encoding/json"
	"time"
)

// The layouts of webhook bodies. One and the same thing has several forms in them, which is how the platform sends it:
// message_type is a word at the top of a message event and a number in messages[], created_at a text in the one and a
// count of seconds in the other.

type object = struct{} // {}

type accountObject struct {
	ID   number `json:"id"`
	Name string `json:"name"`
}

type inboxObject struct {
	ID   number `json:"id"`
	Name string `json:"name"`
}

// contactObject is a contact as the sender of a message. It has no "type".
type contactObject struct {
	Account              accountObject `json:"account"`
	AdditionalAttributes object        `json:"additional_attributes"`
	Avatar               string        `json:"avatar"`
	CustomAttributes     object        `json:"custom_attributes"`
	Email                *string       `json:"email"`
	ID                   number        `json:"id"`
	Identifier           *string       `json:"identifier"`
	Name                 string        `json:"name"`
	PhoneNumber          *string       `json:"phone_number"`
	Thumbnail            string        `json:"thumbnail"`
	Blocked              *bool         `json:"blocked,omitempty"`
}

type metaContact struct {
	AdditionalAttributes object  `json:"additional_attributes"`
	CustomAttributes     object  `json:"custom_attributes"`
	Email                *string `json:"email"`
	ID                   number  `json:"id"`
	Identifier           *string `json:"identifier"`
	Name                 string  `json:"name"`
	PhoneNumber          *string `json:"phone_number"`
	Thumbnail            string  `json:"thumbnail"`
	Blocked              *bool   `json:"blocked,omitempty"`
	Type                 string  `json:"type"`
}

type userObject struct {
	ID    number `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email,omitempty"`
	Type  string `json:"type"`
}

type assigneeObject struct {
	ID                 number `json:"id"`
	Name               string `json:"name"`
	AvailableName      string `json:"available_name"`
	AvatarURL          string `json:"avatar_url"`
	Type               string `json:"type"`
	AvailabilityStatus string `json:"availability_status"`
	Thumbnail          string `json:"thumbnail"`
}

type contactInboxObject struct {
	ID           number `json:"id"`
	ContactID    number `json:"contact_id"`
	InboxID      number `json:"inbox_id"`
	SourceID     string `json:"source_id"`
	CreatedAt    string `json:"created_at"`
	UpdatedAt    string `json:"updated_at"`
	HMACVerified bool   `json:"hmac_verified"`
	PubsubToken  string `json:"pubsub_token"`
}

type metaObject struct {
	Sender       metaContact     `json:"sender"`
	Assignee     *assigneeObject `json:"assignee"`
	AssigneeType *string         `json:"assignee_type,omitempty"`
	Team         *object         `json:"team"`
	HMACVerified bool            `json:"hmac_verified"`
}

// rawMessage is a message inside messages[]: the columns of the table.
type rawMessage struct {
	ID                      number          `json:"id"`
	Content                 string          `json:"content"`
	AccountID               number          `json:"account_id"`
	InboxID                 number          `json:"inbox_id"`
	ConversationID          number          `json:"conversation_id"`
	MessageType             int             `json:"message_type"`
	CreatedAt               int64           `json:"created_at"`
	UpdatedAt               string          `json:"updated_at"`
	Private                 bool            `json:"private"`
	Status                  string          `json:"status"`
	SourceID                *string         `json:"source_id"`
	ContentType             string          `json:"content_type"`
	ContentAttributes       json.RawMessage `json:"content_attributes"`
	SenderType              *string         `json:"sender_type"`
	SenderID                *number         `json:"sender_id"`
	ExternalSourceIDs       object          `json:"external_source_ids"`
	AdditionalAttributes    object          `json:"additional_attributes"`
	ProcessedMessageContent string          `json:"processed_message_content"`
	Sentiment               object          `json:"sentiment"`
	Conversation            rawConversation `json:"conversation"`
	Sender                  any             `json:"sender,omitempty"`
}

type rawConversation struct {
	AssigneeID     *number `json:"assignee_id"`
	UnreadCount    int     `json:"unread_count"`
	LastActivityAt int64   `json:"last_activity_at"`
	ContactInbox   struct {
		SourceID string `json:"source_id"`
	} `json:"contact_inbox"`
}

type conversationObject struct {
	Account              *accountObject     `json:"account,omitempty"`
	AdditionalAttributes object             `json:"additional_attributes"`
	CanReply             bool               `json:"can_reply"`
	Channel              string             `json:"channel"`
	ContactInbox         contactInboxObject `json:"contact_inbox"`
	ID                   number             `json:"id"`
	InboxID              number             `json:"inbox_id"`
	Messages             []rawMessage       `json:"messages"`
	Labels               []string           `json:"labels"`
	Meta                 metaObject         `json:"meta"`
	Status               string             `json:"status"`
	CustomAttributes     object             `json:"custom_attributes"`
	SnoozedUntil         *string            `json:"snoozed_until"`
	UnreadCount          int                `json:"unread_count"`
	FirstReplyCreatedAt  *string            `json:"first_reply_created_at"`
	Priority             *string            `json:"priority"`
	WaitingSince         int64              `json:"waiting_since"`
	AgentLastSeenAt      int64              `json:"agent_last_seen_at"`
	ContactLastSeenAt    int64              `json:"contact_last_seen_at"`
	LastActivityAt       int64              `json:"last_activity_at"`
	Timestamp            int64              `json:"timestamp"`
	CreatedAt            int64              `json:"created_at"`
	UpdatedAt            *float64           `json:"updated_at,omitempty"`
}

type changes []map[string]changedValue

type changedValue struct {
	Previous any `json:"previous_value"`
	Current  any `json:"current_value"`
}

func change(attribute string, previous, current any) map[string]changedValue {
	return map[string]changedValue{attribute: {previous, current}}
}

type conversationEvent struct {
	Event string `json:"event"`
	conversationObject
	Changed changes `json:"changed_attributes,omitempty"`
}

type contactEvent struct {
	Event string `json:"event"`
	contactObject
	Changed changes `json:"changed_attributes,omitempty"`
}

type messageEvent struct {
	Event                string             `json:"event"`
	Account              accountObject      `json:"account"`
	AdditionalAttributes object             `json:"additional_attributes"`
	ContentAttributes    json.RawMessage    `json:"content_attributes"`
	ContentType          string             `json:"content_type"`
	Content              string             `json:"content"`
	Conversation         conversationObject `json:"conversation"`
	CreatedAt            string             `json:"created_at"`
	ID                   number             `json:"id"`
	Inbox                inboxObject        `json:"inbox"`
	MessageType          string             `json:"message_type"`
	Private              bool               `json:"private"`
	Sender               any                `json:"sender"`
	SourceID             *string            `json:"source_id"`
}

type typingEvent struct {
	Event        string             `json:"event"`
	User         any                `json:"user"`
	Conversation conversationObject `json:"conversation"`
	IsPrivate    bool               `json:"is_private"`
}

type widgetEvent struct {
	Event               string              `json:"event"`
	ID                  number              `json:"id"`
	Contact             contactObject       `json:"contact"`
	Inbox               inboxObject         `json:"inbox"`
	Account             accountObject       `json:"account"`
	CurrentConversation *conversationObject `json:"current_conversation"`
	SourceID            string              `json:"source_id"`
	EventInfo           widgetInfo          `json:"event_info"`
}

type widgetInfo struct {
	WidgetLanguage  string `json:"widget_language"`
	BrowserLanguage string `json:"browser_language"`
	Browser         object `json:"browser"`
}

func iso(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }

func epoch(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.Unix()
}

// orNull is null for the empty text.
func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func messageNumber(kind string) int {
	switch kind {
	case incoming:
		return 0
	case outgoing:
		return 1
	case activity:
		return 2
	}
	return 3
}
