package cxsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
)

// request has every member of every documented request. Others are ignored, as the platform does.
type request struct {
	TenantDomain string `json:"tenant_domain"`

	URL           string   `json:"url"`
	Subscriptions []string `json:"subscriptions"`

	Name        string `json:"name"`
	Email       string `json:"email"`
	PhoneNumber string `json:"phone_number"`
	InboxID     ident  `json:"inbox_id"`

	SourceID       string          `json:"source_id"`
	ContactID      ident           `json:"contact_id"`
	Priority       json.RawMessage `json:"priority"`
	InitialMessage string          `json:"initial_message"`

	ConversationID    ident           `json:"conversation_id"`
	Content           string          `json:"content"`
	MessageType       string          `json:"message_type"`
	Private           bool            `json:"private"`
	ContentAttributes json.RawMessage `json:"content_attributes"`

	OutgoingURL string `json:"outgoing_url"`
	Description string `json:"description"`
	AgentBotID  ident  `json:"agent_bot_id"`
}

// decode reads a JSON object. A body of another content type has no members, as far as the platform is concerned.
func (r *request) decode(body []byte, contentType string) error {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "application/json" {
		return nil
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(r); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}
