package cxapi

import (
	"context"
	"net/http"
)

// The directions of a message.
const (
	// Outgoing is a message to the customer; it is shown as the bot's.
	Outgoing = "outgoing"
	// Incoming is a message of the customer.
	Incoming = "incoming"
)

// MessageParams is a message to post.
type MessageParams struct {
	// ConversationID is the conversation to post into.
	ConversationID ID
	// Content is the text.
	Content string
	// MessageType is [Outgoing] or [Incoming]; empty is outgoing.
	MessageType string
}

// Message is a message that was posted.
type Message struct {
	Answer
	// ID is the message's; zero if the answer did not tell.
	ID ID
	// ConversationID is the one in the answer, else the one that was asked for.
	ConversationID ID
}

// SendMessage posts a message into a conversation. It is not idempotent: carried out twice, the customer reads it twice.
//
// POST messages/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) SendMessage(ctx context.Context, p MessageParams) (*Message, error) {
	if p.MessageType == "" {
		p.MessageType = Outgoing
	}
	cl := call{method: http.MethodPost, path: "messages/", body: struct {
		Tenant         string `json:"tenant_domain"`
		Content        string `json:"content"`
		MessageType    string `json:"message_type"`
		ConversationID ID     `json:"conversation_id"`
	}{c.tenant, p.Content, p.MessageType, p.ConversationID}}
	if p.ConversationID.IsZero() {
		return nil, cl.malformed("the conversation id is missing")
	}
	answer, o, err := c.create(ctx, cl, resource{
		id:    func(o *object) ID { return o.MessageID.ID },
		named: func(o *object) subtree { return o.Message },
	})
	if err != nil {
		return nil, err
	}
	m := &Message{Answer: answer, ConversationID: p.ConversationID}
	if o != nil {
		m.ID = firstID(o.ID, o.MessageID)
		m.ConversationID = firstID(o.ConversationID, loose{p.ConversationID})
	}
	return m, nil
}

// firstID returns the first ID that is there.
func firstID(ids ...loose) ID {
	for _, id := range ids {
		if !id.IsZero() {
			return id.ID
		}
	}
	return ID{}
}
