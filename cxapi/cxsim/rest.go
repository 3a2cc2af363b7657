package cxsim

import "encoding/json"

// The layouts of the API's answers.

type restInbox struct {
	ID              number  `json:"id"`
	Name            string  `json:"name"`
	ChannelID       number  `json:"channel_id"`
	ChannelType     string  `json:"channel_type"`
	AvatarURL       string  `json:"avatar_url"`
	GreetingEnabled bool    `json:"greeting_enabled"`
	GreetingMessage *string `json:"greeting_message"`
	LockToSingle    bool    `json:"lock_to_single_conversation"`
	Provider        *string `json:"provider"`
}

type restContactInbox struct {
	SourceID string    `json:"source_id"`
	Inbox    restInbox `json:"inbox"`
}

type restContact struct {
	metaContact
	AvailabilityStatus string             `json:"availability_status"`
	CreatedAt          int64              `json:"created_at"`
	ContactInboxes     []restContactInbox `json:"contact_inboxes"`
}

type restContactCreated struct {
	Contact      restContact `json:"contact"`
	ContactInbox struct {
		Inbox    *restInbox `json:"inbox"`
		SourceID *string    `json:"source_id"`
	} `json:"contact_inbox"`
}

type restMessage struct {
	ID                number          `json:"id"`
	Content           string          `json:"content"`
	InboxID           number          `json:"inbox_id"`
	ConversationID    number          `json:"conversation_id"`
	MessageType       int             `json:"message_type"`
	ContentType       string          `json:"content_type"`
	Status            string          `json:"status"`
	ContentAttributes json.RawMessage `json:"content_attributes"`
	CreatedAt         int64           `json:"created_at"`
	Private           bool            `json:"private"`
	SourceID          *string         `json:"source_id"`
	Sender            any             `json:"sender,omitempty"`
}

type restMeta struct {
	Sender       metaContact     `json:"sender"`
	Channel      string          `json:"channel"`
	Assignee     *assigneeObject `json:"assignee,omitempty"`
	HMACVerified bool            `json:"hmac_verified"`
}

type restConversation struct {
	Meta                restMeta      `json:"meta"`
	ID                  number        `json:"id"`
	Messages            []restMessage `json:"messages"`
	AccountID           number        `json:"account_id"`
	UUID                string        `json:"uuid"`
	AdditionalAttrs     object        `json:"additional_attributes"`
	AgentLastSeenAt     int64         `json:"agent_last_seen_at"`
	AssigneeLastSeenAt  int64         `json:"assignee_last_seen_at"`
	CanReply            bool          `json:"can_reply"`
	ContactLastSeenAt   int64         `json:"contact_last_seen_at"`
	CustomAttributes    object        `json:"custom_attributes"`
	InboxID             number        `json:"inbox_id"`
	Labels              []string      `json:"labels"`
	Muted               bool          `json:"muted"`
	SnoozedUntil        *string       `json:"snoozed_until"`
	Status              string        `json:"status"`
	CreatedAt           int64         `json:"created_at"`
	UpdatedAt           *float64      `json:"updated_at,omitempty"`
	Timestamp           int64         `json:"timestamp"`
	FirstReplyCreatedAt int64         `json:"first_reply_created_at"`
	UnreadCount         int           `json:"unread_count"`
	LastMessage         *restMessage  `json:"last_non_activity_message"`
	LastActivityAt      int64         `json:"last_activity_at"`
	Priority            *string       `json:"priority"`
	WaitingSince        int64         `json:"waiting_since"`
}

type restStatus struct {
	Success        *bool   `json:"success"`
	ConversationID number  `json:"conversation_id"`
	CurrentStatus  string  `json:"current_status"`
	SnoozedUntil   *string `json:"snoozed_until"`
}

type restWebhook struct {
	ID            number   `json:"id"`
	URL           string   `json:"url"`
	AccountID     number   `json:"account_id"`
	Subscriptions []string `json:"subscriptions"`
	Secret        string   `json:"secret,omitempty"`
}

type restBot struct {
	ID          number  `json:"id"`
	Name        string  `json:"name"`
	Description *string `json:"description"`
	Thumbnail   string  `json:"thumbnail"`
	OutgoingURL string  `json:"outgoing_url"`
	BotType     string  `json:"bot_type"`
	BotConfig   object  `json:"bot_config"`
	AccountID   number  `json:"account_id"`
	Secret      string  `json:"secret,omitempty"`
	SystemBot   bool    `json:"system_bot"`
}

func (t *Tenant) restMessage(c *conversation, m *Message) restMessage {
	return restMessage{
		ID: t.number(m.ID), Content: m.Content, InboxID: t.number(c.link.inbox.id), ConversationID: t.number(c.id),
		MessageType: messageNumber(m.Type), ContentType: "text", Status: "sent",
		ContentAttributes: t.contentAttributes(m), CreatedAt: epoch(m.CreatedAt), Private: m.Private,
		SourceID: orNull(m.SourceID), Sender: t.rawSender(c, m),
	}
}

func (t *Tenant) restConversation(c *conversation) restConversation {
	r := restConversation{
		Meta: restMeta{Sender: t.metaContact(c.link.contact), Channel: c.link.inbox.Channel, Assignee: t.meta(c).Assignee},
		ID:   t.number(c.id), Messages: []restMessage{}, AccountID: t.number(t.id), UUID: c.uuid, CanReply: true,
		InboxID: t.number(c.link.inbox.id), Labels: []string{}, Status: c.status, CreatedAt: epoch(c.createdAt),
		Timestamp: epoch(c.activityAt), LastActivityAt: epoch(c.activityAt), UnreadCount: c.unread,
		Priority: orNull(c.priority), WaitingSince: epoch(c.waitingSince), FirstReplyCreatedAt: epoch(c.firstReplyAt),
		AgentLastSeenAt: epoch(c.agentSeenAt), AssigneeLastSeenAt: epoch(c.agentSeenAt),
		ContactLastSeenAt: epoch(c.contactSeenAt),
	}
	if c.lastPublicMessage != nil {
		last := t.restMessage(c, c.lastPublicMessage)
		r.Messages, r.LastMessage = append(r.Messages, last), &last
	}
	if t.feat.updatedAt {
		at := float64(c.updatedAt.UnixMicro()) / 1e6
		r.UpdatedAt = &at
	}
	return r
}
