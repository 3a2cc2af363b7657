package webhook

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// event is what a body tells about itself. Its strings point into the body.
type event struct {
	name           string
	messageID      string // of message events
	objectID       string // of the message, the conversation, or whatever the event is about
	conversationID string
	inboxID        string
	messageType    string // incoming, outgoing, template, activity, or whatever else the vendor says; of message events, as the rest
	private        string // true, false, or empty if the body does not say
	senderType     string
	content        string
}

// Reasons why a body is malformed.
var (
	errNotJSON   = errors.New("the body is not JSON")
	errNotObject = errors.New("the body is not a JSON object")
	errNoName    = errors.New("the body names no event")
)

// maxIDLength is the length in bytes of the longest id; a longer one counts as none.
const maxIDLength = 256

// isMessage reports whether the event is about a message.
func (e *event) isMessage() bool { return strings.HasPrefix(e.name, "message_") }

func (e *event) isConversation() bool { return strings.HasPrefix(e.name, "conversation_") }

// identify reads from a body what it is. The body must not change as long as the event is in use.
func (p *paths) identify(body []byte) (event, error) {
	var values found
	text := jsonText(body)
	i := text.space(0)
	object := text.is(i, '{')
	if object {
		i = p.find(text, i, &values)
	} else {
		i = text.skip(i, 0)
	}
	switch {
	case i == bad || text.space(i) != len(text):
		return event{}, errNotJSON
	case !object:
		return event{}, errNotObject
	}
	name := p.of(fieldEvent, &values)
	if name.kind != textValue {
		return event{}, errNoName
	}
	e := event{name: name.text, inboxID: p.id(fieldInboxID, &values), conversationID: p.id(fieldConversationID, &values)}
	if e.isMessage() {
		p.message(&e, &values)
		return e, nil
	}
	e.objectID = p.id(fieldObjectID, &values)
	switch {
	case e.isConversation() && e.conversationID == "":
		e.conversationID = e.objectID
	case e.objectID == "":
		e.objectID = e.conversationID
	}
	return e, nil
}

func (p *paths) message(e *event, values *found) {
	e.messageID = p.id(fieldMessageID, values)
	e.objectID = e.messageID
	e.messageType = messageType(p.of(fieldMessageType, values).text)
	e.senderType = p.of(fieldSenderType, values).text
	if v := p.of(fieldPrivate, values).text; v == "true" || v == "false" {
		e.private = v
	}
	if v := p.of(fieldContent, values); v.kind == textValue {
		e.content = v.text
	}
}

// id returns a field that is an id: a number or a string without control or broken characters.
func (p *paths) id(f field, values *found) string {
	v := p.of(f, values)
	if v.kind != numberValue && v.kind != textValue || len(v.text) > maxIDLength {
		return ""
	}
	for _, r := range v.text {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return ""
		}
	}
	return v.text
}
