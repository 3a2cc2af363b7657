package schema

import "github.com/cxbridge/cxbridge/subjects"

// Layout describes the body of events.
type Layout struct {
	Name    string // the event's name, or a word for several
	Event   string // the event's name as it stands in the body; empty for any
	Members []EventMember
}

// EventMember is a member that the vendor is known to send. Each may be missing, or null.
type EventMember struct {
	Name    string
	Types   []string // JSON types that it is known to have
	Members []EventMember
	Meaning string
}

// Layouts returns what is known of the events' bodies, as the vendor's documentation and the software behind it have them. The layout "any"
// holds for all events.
func Layouts() []Layout {
	return []Layout{
		{Name: subjects.EventMessageCreated, Event: subjects.EventMessageCreated, Members: messageMembers()},
		{Name: subjects.EventConversationCreated, Event: subjects.EventConversationCreated, Members: conversationMembers()},
		{Name: "any"},
	}
}

// Event returns the schema of a layout. Nothing but the event's name has to be there, and members that are not known may be: the
// vendor adds some from time to time. With a configuration that finds the event's name elsewhere, the schema does not hold.
func Event(l Layout) Schema {
	s := open(l.Members)
	s["title"] = l.Name
	name := Schema{"type": "string", "minLength": 1, "description": "The event's name."}
	if l.Event != "" {
		name = Schema{"const": l.Event, "description": "The event's name."}
	}
	properties, _ := s["properties"].(Schema)
	properties["event"] = name
	s["type"], s["required"] = "object", []string{"event"}
	return s
}

func open(members []EventMember) Schema {
	properties := Schema{}
	for _, m := range members {
		var types []any
		for _, t := range m.Types {
			types = append(types, t)
		}
		s := Schema{"type": append(types, "null"), "description": m.Meaning}
		if len(m.Members) > 0 {
			s["properties"] = open(m.Members)["properties"]
		}
		properties[m.Name] = s
	}
	return Schema{"type": []any{"object", "null"}, "properties": properties, "additionalProperties": true}
}

func messageMembers() []EventMember {
	return []EventMember{
		idMember("id", "The message."),
		textMember("content", "The text; not always what was sent, as it may be rendered for the channel."),
		textMember("content_type", "text, cards, form and others."),
		{Name: "message_type", Types: []string{"string", "integer"}, Meaning: "The direction: incoming, outgoing or template; in some places 0, 1 and 3."},
		{Name: "private", Types: []string{"boolean"}, Meaning: "Whether the message is a note among agents."},
		{Name: "created_at", Types: []string{"string", "integer", "number"}, Meaning: "When it was written: a time, or seconds since 1970."},
		textMember("source_id", "The id of the message at the channel."),
		{Name: "account", Types: objectType(), Members: []EventMember{idMember("id", "The account."), textMember("name", "Its name.")}, Meaning: "The account."},
		{Name: "inbox", Types: objectType(), Members: []EventMember{idMember("id", "The inbox."), textMember("name", "Its name.")}, Meaning: "The inbox."},
		{Name: "sender", Types: objectType(), Members: senderMembers(), Meaning: "Who wrote the message; null for what the vendor itself writes."},
		{Name: "conversation", Types: objectType(), Members: conversationMembers(), Meaning: "The conversation."},
		{Name: "attachments", Types: []string{"array"}, Meaning: "Files of the message."},
	}
}

func senderMembers() []EventMember {
	return []EventMember{
		idMember("id", "The sender."), textMember("name", "The name."), textMember("email", "The email address."),
		textMember("phone_number", "The phone number."),
		textMember("type", "user (a human agent) or agent_bot; customers have none, or contact."),
	}
}

func conversationMembers() []EventMember {
	return []EventMember{
		idMember("id", "The conversation."), idMember("inbox_id", "The inbox."),
		textMember("status", "open, pending, resolved or snoozed."), textMember("channel", "The kind of channel."),
		{Name: "messages", Types: []string{"array"}, Meaning: "The last message, or none; not always the first one."},
		{Name: "meta", Types: objectType(), Meaning: "The contact, the agent and the team."},
		{Name: "contact_inbox", Types: objectType(), Members: []EventMember{
			idMember("contact_id", "The contact."), textMember("source_id", "The contact's id at its channel."),
		}, Meaning: "The contact in this inbox."},
		{Name: "labels", Types: []string{"array"}, Meaning: "Labels."},
		{Name: "custom_attributes", Types: objectType(), Meaning: "Attributes of the tenant's own."},
		{Name: "additional_attributes", Types: objectType(), Meaning: "Attributes of the channel."},
	}
}

func objectType() []string { return []string{"object"} }

func idMember(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"integer", "string"}, Meaning: meaning}
}

func textMember(name, meaning string) EventMember {
	return EventMember{Name: name, Types: []string{"string"}, Meaning: meaning}
}
