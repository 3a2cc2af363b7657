package webhook

import (
	"strings"

	"github.com/cxbridge/cxbridge/subjects"
)

// The directions of messages beside [subjects.Incoming] and [subjects.Outgoing].
const (
	template = "template" // made by the vendor: greetings, surveys
	activity = "activity" // a note on what happened
)

// messageType returns the direction of a message as a word. The vendor writes it as a word in some places and as a number in others.
func messageType(v string) string {
	switch v {
	case "0":
		return subjects.Incoming
	case "1":
		return subjects.Outgoing
	case "2":
		return activity
	case "3":
		return template
	}
	return v
}

// origin tells who wrote the message of a message event. An outgoing message of a command of ours is a bot's, whatever account the vendor
// shows it under; an incoming one carries a customer's words.
func origin(e *event, own bool) subjects.Origin {
	if e.messageType == template || e.messageType == activity {
		return subjects.OriginSystem
	}
	if own {
		if e.messageType == subjects.Incoming {
			return subjects.OriginCustomer
		}
		return subjects.OriginBot
	}
	switch kind := e.senderType; {
	case kind == "":
		// The vendor gives a customer no sender type.
		if e.messageType == subjects.Incoming {
			return subjects.OriginCustomer
		}
	case strings.EqualFold(kind, "contact"):
		return subjects.OriginCustomer
	case strings.EqualFold(kind, "user"):
		return subjects.OriginAgent
	case strings.EqualFold(kind, "agent_bot"), strings.EqualFold(kind, "agentbot"):
		return subjects.OriginBot
	}
	return subjects.OriginUnknown
}

// Echo knows the messages that commands of this bridge caused.
type Echo interface {
	// EchoOf returns the id of the command that caused a message. The fingerprint is that of the message's content, or empty if the content
	// tells nothing; then only the message's id counts. It is a function because it is rarely needed and takes time.
	EchoOf(conversationID, messageID, messageType string, fingerprint func() string) (commandID string, ok bool)
}

// echoOf returns the id of the command that caused the message, or the empty string.
func (r *Receiver) echoOf(e *event) string {
	if r.echo == nil || !e.isMessage() {
		return ""
	}
	name, content := e.name, e.content // not e itself, which would then be on the heap
	id, ok := r.echo.EchoOf(e.conversationID, e.messageID, e.messageType, func() string {
		if name != subjects.EventMessageCreated || content == "" {
			return ""
		}
		return r.fingerprint(content)
	})
	if !ok {
		return ""
	}
	return id
}
