package cxapi

import (
	"context"
	"net/http"
	"strings"
)

// ConversationParams is a conversation to start.
type ConversationParams struct {
	// SourceID names the customer at the channel; the vendor documents the contact's email.
	SourceID string
	// ContactID and InboxID are who talks, and where.
	ContactID, InboxID ID
	// Priority is passed on as it is; nil leaves it out. The vendor does not document what the numbers mean.
	Priority *int64
	// InitialMessage is the first message; empty leaves it out.
	InitialMessage string
}

// Conversation is a conversation that was started.
type Conversation struct {
	Answer
	// ID is the conversation's; zero if the answer did not tell.
	ID ID
	// ContactID and InboxID are those in the answer, else those that were asked for.
	ContactID, InboxID ID
	// MessageID is that of the initial message; zero if the answer did not tell.
	MessageID ID
}

// CreateConversation starts a conversation. It is not idempotent.
//
// POST conversations/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) CreateConversation(ctx context.Context, p ConversationParams) (*Conversation, error) {
	cl := call{method: http.MethodPost, path: "conversations/", body: struct {
		Tenant         string `json:"tenant_domain"`
		SourceID       string `json:"source_id"`
		ContactID      ID     `json:"contact_id"`
		InboxID        ID     `json:"inbox_id"`
		Priority       *int64 `json:"priority,omitempty"`
		InitialMessage string `json:"initial_message,omitempty"`
	}{c.tenant, p.SourceID, p.ContactID, p.InboxID, p.Priority, p.InitialMessage}}
	if p.ContactID.IsZero() || p.InboxID.IsZero() {
		return nil, cl.malformed("the contact id or the inbox id is missing")
	}
	answer, o, err := c.create(ctx, cl, resource{
		id:    func(o *object) ID { return o.ConversationID.ID },
		named: func(o *object) subtree { return o.Conversation },
	})
	if err != nil {
		return nil, err
	}
	v := &Conversation{Answer: answer, ContactID: p.ContactID, InboxID: p.InboxID}
	if o != nil {
		v.ID = firstID(o.ID, o.ConversationID)
		v.ContactID = firstID(o.ContactID, loose{p.ContactID})
		v.InboxID = firstID(o.InboxID, loose{p.InboxID})
		v.MessageID = initialMessageID(o, p.InitialMessage)
	}
	return v, nil
}

// initialMessageID finds the initial message in a conversation just started. A list of messages counts only if it holds
// that one alone: an automatic greeting may stand in its place.
func initialMessageID(o *object, content string) ID {
	if content == "" || !o.MessageID.IsZero() {
		return o.MessageID.ID
	}
	m := readObject(o.Messages)
	if m == nil || strings.TrimSpace(string(m.Content)) != strings.TrimSpace(content) {
		return ID{}
	}
	return m.ID.ID
}

// DeliverToAgent hands a conversation to human agents. It may be repeated freely; a repeat may be refused as
// [Error.AlreadyDone].
//
// POST conversations/deliver-to-agent/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) DeliverToAgent(ctx context.Context, conversationID ID) (*Answer, error) {
	return c.onConversation(ctx, "conversations/deliver-to-agent/", conversationID)
}

// Finish ends a conversation that needs no agent. It may be repeated freely; a repeat may be refused as
// [Error.AlreadyDone].
//
// POST conversations/finish/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) Finish(ctx context.Context, conversationID ID) (*Answer, error) {
	return c.onConversation(ctx, "conversations/finish/", conversationID)
}

func (c *Client) onConversation(ctx context.Context, path string, id ID) (*Answer, error) {
	cl := call{method: http.MethodPost, path: path, repeatable: true, body: struct {
		Tenant         string `json:"tenant_domain"`
		ConversationID ID     `json:"conversation_id"`
	}{c.tenant, id}}
	if id.IsZero() {
		return nil, cl.malformed("the conversation id is missing")
	}
	return c.act(ctx, cl)
}
