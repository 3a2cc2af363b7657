package schema

import (
	"slices"

	"github.com/cxbridge/cxbridge/subjects"
)

// Layout describes the body of events.
type Layout struct {
	Name    string   // the event's name, or a word for several
	Events  []string // the events' names as they stand in the body; empty for any
	Members []EventMember
}

// EventMember is a member that the vendor is known to send. Each may be missing, or null.
type EventMember struct {
	Name    string
	Types   []string      // JSON types that it is known to have
	Members []EventMember // of the object, or of the objects in the array; none if they are the tenant's own, or not known
	Values  []string      // that it is known to have as a string; empty for any
	Meaning string
}

// Layouts returns what is known of the events' bodies, as the vendor's documentation and the software behind it have them. The layout "any"
// holds for all events, and comes last.
func Layouts() []Layout {
	changed := EventMember{Name: "changed_attributes", Types: []string{"array", "object"}, Meaning: "What has changed, with the values before and after."}
	return []Layout{
		{Name: subjects.EventMessageCreated, Events: []string{subjects.EventMessageCreated}, Members: messageMembers()},
		{Name: "message_updated", Events: []string{"message_updated"}, Members: messageMembers()},
		{Name: subjects.EventConversationCreated, Events: []string{subjects.EventConversationCreated}, Members: conversationMembers()},
		{
			Name:    "conversation_changed",
			Events:  []string{"conversation_updated", "conversation_status_changed", "conversation_opened", "conversation_resolved"},
			Members: append(conversationMembers(), changed),
		},
		{Name: "conversation_typing", Events: []string{"conversation_typing_on", "conversation_typing_off"}, Members: typingMembers()},
		{Name: "contact", Events: []string{"contact_created", "contact_updated"}, Members: append(contactMembers(), changed)},
		{Name: "webwidget_triggered", Events: []string{"webwidget_triggered"}, Members: widgetMembers()},
		{Name: "inbox", Events: []string{"inbox_created", "inbox_updated"}},
		{Name: "any"},
	}
}

// EventNames returns the names of all events that the vendor is known to send.
func EventNames() []string {
	var all []string
	for _, l := range Layouts() {
		all = append(all, l.Events...)
	}
	return all
}

// Event returns the schema of a layout. Nothing but the event's name has to be there, and members that are not known may be: the
// vendor adds some from time to time. With a configuration that finds the event's name elsewhere, the schema does not hold.
func Event(l Layout) Schema {
	s := open(l.Members)
	s["title"] = l.Name
	name := Schema{"type": "string", "minLength": 1}
	switch len(l.Events) {
	case 0:
	case 1:
		name = Schema{"const": l.Events[0]}
	default:
		name = Schema{"enum": slices.Clone(l.Events)}
	}
	name["description"] = "The event's name."
	properties, _ := s["properties"].(Schema)
	properties["event"] = name
	s["type"], s["required"] = "object", []string{"event"}
	return s
}

func open(members []EventMember) Schema {
	properties := Schema{}
	for _, m := range members {
		properties[m.Name] = openMember(m)
	}
	return Schema{"type": []any{"object", "null"}, "properties": properties, "additionalProperties": true}
}

// openMember returns the schema of a member. Values that are known are told and not demanded: the vendor adds some.
func openMember(m EventMember) Schema {
	types := make([]any, 0, len(m.Types)+1)
	for _, t := range m.Types {
		types = append(types, t)
	}
	s := Schema{"type": append(types, "null"), "description": m.Meaning}
	if len(m.Values) > 0 {
		s["examples"] = slices.Clone(m.Values)
	}
	if len(m.Members) == 0 {
		return s
	}
	inside := open(m.Members)
	if slices.Contains(m.Types, "array") {
		s["items"] = inside
	} else {
		s["properties"] = inside["properties"]
	}
	return s
}
