package asyncapi

import (
	"strings"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

// eventMessage returns the message of events of a layout.
func eventMessage(l schema.Layout) message {
	m := message{
		name: "event." + l.Name, title: l.Name, about: "The body as the vendor sent it, byte for byte.", carrier: subjects.OnEvents, payload: schemaRef("event." + l.Name),
	}
	event := "ticket_created"
	if len(l.Events) > 0 {
		event = l.Events[0]
	} else {
		m.title, m.about = "any event", "Any other event, the body as the vendor sent it. Those about a message have the headers of message_created."
	}
	id := []string{"42"}
	switch event {
	case subjects.EventMessageCreated:
		id = []string{"9001"}
	case subjects.EventConversationCreated:
	default:
		id = append(id, "0b5a")
	}
	m.headers, m.body = eventHeaders(event, id...), with(exampleEvent(l), object{"event": event})
	switch noun, _, _ := strings.Cut(event, "_"); noun {
	case "message":
		m.carrier = subjects.OnMessageEvents
		m.headers = with(m.headers, inConversation(), object{
			subjects.HeaderMessageID: "9001", subjects.HeaderMessageType: subjects.Incoming, subjects.HeaderPrivate: "false",
			subjects.HeaderOrigin: string(subjects.OriginCustomer),
		})
	case "conversation":
		m.headers = with(m.headers, inConversation())
	}
	return m
}

func eventHeaders(name string, parts ...string) object {
	id := subjects.EventID(exampleTenant, name, parts...)
	return object{
		subjects.HeaderMsgID: id, subjects.HeaderCESpecVersion: subjects.CESpecVersion, subjects.HeaderCEID: id,
		subjects.HeaderCESource: subjects.CESource(exampleTenant), subjects.HeaderCEType: "com.sangoma.cx." + name, subjects.HeaderCETime: exampleTime,
		subjects.HeaderContentType: subjects.ContentTypeJSON, subjects.HeaderEvent: name, subjects.HeaderTenant: exampleTenant,
		subjects.HeaderReceivedAt: exampleTime,
	}
}

func inConversation() object {
	return object{subjects.HeaderCESubject: "conversation/42", subjects.HeaderConversationID: "42", subjects.HeaderInboxID: "5"}
}

// exampleEvent returns a body, but for the event's name.
func exampleEvent(l schema.Layout) object {
	ann, inbox := object{"id": 77, "name": "Ann", "email": "ann@example.test"}, object{"id": 5, "name": "Web"}
	conversation := object{"id": 42, "inbox_id": 5, "status": "pending", "channel": "Channel::Api"}
	switch l.Name {
	case "message_created", "message_updated":
		return object{
			"id": 9001, "content": "hi", "content_type": "text", "message_type": "incoming", "private": false, "created_at": exampleTime,
			"inbox": inbox, "sender": ann, "conversation": conversation,
		}
	case "conversation_created":
		return with(conversation, object{"messages": []any{}})
	case "conversation_changed":
		return with(conversation, object{"status": "open", "changed_attributes": []any{object{"status": object{"previous_value": "pending", "current_value": "open"}}}})
	case "conversation_typing":
		return object{"user": ann, "conversation": conversation, "is_private": false}
	case "contact":
		return ann
	case "webwidget_triggered":
		return object{"id": 41, "contact": ann, "inbox": inbox, "current_conversation": conversation, "source_id": "5f0c", "event_info": object{"widget_language": "en"}}
	case "inbox":
		return inbox
	}
	return object{"id": 4711}
}
