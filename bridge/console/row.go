package console

import (
	"encoding/json"
	"net/url"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Kinds of rows.
const (
	kindEvent   = "event"
	kindCommand = "command"
	kindResult  = "result"
	kindDead    = "dead"
)

// row is what is told of a message that flows: nothing of what people wrote, no address, no name.
type row struct {
	Kind         string        `json:"kind"`
	Sequence     uint64        `json:"sequence"`
	Time         subjects.Time `json:"time"`
	Subject      string        `json:"subject"`
	ID           string        `json:"id,omitempty"` // that explain knows: of the event or the command
	Conversation string        `json:"conversation,omitempty"`
	Message      string        `json:"message,omitempty"`
	Origin       string        `json:"origin,omitempty"`
	EchoOf       string        `json:"echo_of,omitempty"`
	Status       string        `json:"status,omitempty"`
	Reason       string        `json:"reason,omitempty"`
	Attempts     int           `json:"attempts,omitempty"`
	Took         int64         `json:"took_ms,omitempty"` // of a result, since the command was stored
}

func rowOf(kind string, m *jetstream.RawStreamMsg) row {
	r := row{Kind: kind, Sequence: m.Sequence, Time: subjects.Time{Time: m.Time}, Subject: m.Subject}
	switch kind {
	case kindEvent:
		r.event(m.Header)
	case kindCommand:
		r.command(m)
	case kindResult:
		r.result(m)
	case kindDead:
		r.ID, r.Status, r.Reason = plain(m.Header, subjects.HeaderCommandID), m.Header.Get(subjects.HeaderStatus), m.Header.Get(subjects.HeaderReason)
		r.Conversation = conversationIn(m.Data)
	}
	return r
}

func (r *row) event(h nats.Header) {
	r.ID, r.Origin = h.Get(subjects.HeaderMsgID), h.Get(subjects.HeaderOrigin)
	r.Conversation, r.Message, r.EchoOf = plain(h, subjects.HeaderConversationID), plain(h, subjects.HeaderMessageID), plain(h, subjects.HeaderEchoOf)
}

// command leaves the id empty if the server will have to make one.
func (r *row) command(m *jetstream.RawStreamMsg) {
	if r.ID = m.Header.Get(subjects.HeaderMsgID); r.ID == "" {
		r.ID = m.Header.Get(subjects.HeaderCEID)
	}
	r.Conversation = conversationIn(m.Data)
}

func (r *row) result(m *jetstream.RawStreamMsg) {
	var body struct {
		CommandID      string          `json:"command_id"`
		Status         subjects.Status `json:"status"`
		Reason         subjects.Reason `json:"reason"`
		ConversationID subjects.ID     `json:"conversation_id"`
		MessageID      subjects.ID     `json:"message_id"`
		Attempts       int             `json:"attempts"`
		ReceivedAt     subjects.Time   `json:"received_at"`
		FinishedAt     subjects.Time   `json:"finished_at"`
	}
	if json.Unmarshal(m.Data, &body) != nil {
		return // somebody else's message on our subject
	}
	r.ID, r.Status, r.Reason, r.Attempts = body.CommandID, string(body.Status), string(body.Reason), body.Attempts
	r.Conversation, r.Message = body.ConversationID.String(), body.MessageID.String()
	if took := body.FinishedAt.Sub(body.ReceivedAt.Time); took > 0 {
		r.Took = took.Milliseconds()
	}
}

// conversationIn returns the conversation of a command.
func conversationIn(body []byte) string {
	var command struct {
		ConversationID subjects.ID `json:"conversation_id"`
	}
	if json.Unmarshal(body, &command) != nil {
		return ""
	}
	return command.ConversationID.String()
}

// plain returns a header that comes from a body, and so is percent-encoded.
func plain(h nats.Header, name string) string {
	text := h.Get(name)
	if decoded, err := url.PathUnescape(text); err == nil {
		return decoded
	}
	return text
}
