package command

import (
	"context"
	"encoding/hex"
	"time"
	"unique"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/tidwall/gjson"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// EventLayout tells where things stand in the vendor's events that the headers do not tell, as gjson paths.
type EventLayout struct {
	Content string // of a message_created
}

// DefaultEventLayout returns the layout of the vendor's documentation.
func DefaultEventLayout() EventLayout { return EventLayout{Content: "content"} }

// sighting is an event about a conversation, reduced to what commands want to know of it.
type sighting struct {
	at time.Time // when it was stored

	message     subjects.ID // of a message_created, as the four below
	messageType string
	fingerprint string
	private     bool
	origin      subjects.Origin

	*creation // nil if it is no conversation_created

	human string // how the event shows that a human agent has the conversation; empty if it does not
}

// creation is what a conversation_created tells.
type creation struct {
	conversation    subjects.ID
	inbox, sourceID string
	contactID       subjects.ID
}

// glimpse is a sighting as it is kept: in a quarter of an hour there may be hundreds of thousands, of which nobody wants to know but of a few.
type glimpse struct {
	at                         int64 // in nanoseconds
	message                    subjects.ID
	print                      [16]byte // the fingerprint; zero for none
	messageType, origin, human unique.Handle[string]
	created                    *creation
	private                    bool
}

func (e *sighting) glimpse() glimpse {
	g := glimpse{
		at: e.at.UnixNano(), message: e.message, messageType: unique.Make(e.messageType), origin: unique.Make(string(e.origin)), human: unique.Make(e.human),
		created: e.creation, private: e.private,
	}
	_, _ = hex.Decode(g.print[:], []byte(e.fingerprint)) // it is 16 bytes in hexadecimal, or none
	return g
}

func (g *glimpse) sighting() sighting {
	e := sighting{
		at: time.Unix(0, g.at), message: g.message, messageType: g.messageType.Value(), origin: subjects.Origin(g.origin.Value()), human: g.human.Value(),
		creation: g.created, private: g.private,
	}
	if g.print != [16]byte{} {
		e.fingerprint = hex.EncodeToString(g.print[:])
	}
	return e
}

// sightings is one shared reading of the events, for all commands that look for an echo or have a precondition.
type sightings struct {
	layout  EventLayout
	reading *reading

	byConversation map[string][]glimpse // in the order in which they were stored
	created        []glimpse
}

func newSightings(js jetstream.JetStream, names subjects.Names, layout EventLayout) *sightings {
	s := &sightings{layout: layout, reading: newReading(js, names.EventsStream())}
	s.reading.take, s.reading.reset, s.reading.forget = s.take, s.reset, s.forget
	s.reset()
	return s
}

func (s *sightings) reset() {
	s.byConversation, s.created = make(map[string][]glimpse), nil
}

func (s *sightings) forget(before time.Time) {
	s.created = glimpsesSince(s.created, before)
	for key, all := range s.byConversation {
		if left := glimpsesSince(all, before); len(left) > 0 {
			s.byConversation[key] = left
		} else {
			delete(s.byConversation, key)
		}
	}
}

// of returns the events about a conversation that were stored since a time.
func (s *sightings) of(ctx context.Context, conversation string, since time.Time) (found []sighting, err error) {
	err = s.reading.upTo(ctx, since, func() { found = sightingsSince(s.byConversation[conversation], since) })
	return found, err
}

// createdSince returns the conversations that were created since a time.
func (s *sightings) createdSince(ctx context.Context, since time.Time) (found []sighting, err error) {
	err = s.reading.upTo(ctx, since, func() { found = sightingsSince(s.created, since) })
	return found, err
}

// glimpsesSince returns a copy of those that were stored since a time.
func glimpsesSince(all []glimpse, since time.Time) []glimpse {
	var found []glimpse
	for _, g := range all {
		if g.at >= since.UnixNano() {
			found = append(found, g)
		}
	}
	return found
}

// sightingsSince returns them whole.
func sightingsSince(all []glimpse, since time.Time) []sighting {
	var found []sighting
	for _, g := range glimpsesSince(all, since) {
		found = append(found, g.sighting())
	}
	return found
}

func (s *sightings) take(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	h, body := m.Headers(), m.Data()
	e, conversation := sighting{at: meta.Timestamp}, idOf(h.Get(subjects.HeaderConversationID), body, "conversation.id", "id")
	switch name := h.Get(subjects.HeaderEvent); name {
	case subjects.EventMessageCreated:
		s.readMessage(&e, h, body)
	case subjects.EventConversationCreated:
		e.creation = &creation{
			conversation: conversation, inbox: h.Get(subjects.HeaderInboxID), sourceID: gjson.GetBytes(body, "contact_inbox.source_id").String(),
			contactID: firstID(body, "contact_inbox.contact_id", "meta.sender.id"),
		}
		e.human = assigned(gjson.GetBytes(body, "meta"))
	case "conversation_opened":
		e.human = "the conversation was opened for agents"
	case "conversation_status_changed":
		if gjson.GetBytes(body, "status").String() == "open" {
			e.human = "the conversation was opened for agents"
		}
	default:
		e.human = assigned(gjson.GetBytes(body, "meta"))
	}
	g := e.glimpse()
	if g.created != nil {
		s.created = append(s.created, g)
	}
	if key := conversation.String(); key != "" {
		s.byConversation[key] = append(s.byConversation[key], g)
	}
}

func (s *sightings) readMessage(e *sighting, h nats.Header, body []byte) {
	e.message = idOf(h.Get(subjects.HeaderMessageID), body, "id")
	e.messageType, e.private = h.Get(subjects.HeaderMessageType), h.Get(subjects.HeaderPrivate) == "true"
	e.origin = subjects.Origin(h.Get(subjects.HeaderOrigin))
	e.fingerprint = ledger.Fingerprint(gjson.GetBytes(body, s.layout.Content).String())
	e.human = assigned(gjson.GetBytes(body, "conversation.meta"))
	if e.origin == subjects.OriginAgent {
		e.human = "a human agent wrote"
	}
}

// assigned tells of an assignee that is a human.
func assigned(meta gjson.Result) string {
	assignee := meta.Get("assignee")
	if !assignee.IsObject() || meta.Get("assignee_type").String() == "AgentBot" || assignee.Get("type").String() == "agent_bot" {
		return ""
	}
	return "a human agent is assigned"
}

// idOf returns the id of a header in the form that it has in the body, if one of the paths leads to it.
func idOf(text string, body []byte, paths ...string) subjects.ID {
	for _, path := range paths {
		if found := gjson.GetBytes(body, path); text != "" && found.String() == text {
			if id, err := subjects.ParseID([]byte(found.Raw)); err == nil {
				return id
			}
		}
	}
	return subjects.StringID(text)
}

// firstID returns the first id that one of the paths leads to.
func firstID(body []byte, paths ...string) subjects.ID {
	for _, path := range paths {
		if id, err := subjects.ParseID([]byte(gjson.GetBytes(body, path).Raw)); err == nil {
			return id
		}
	}
	return subjects.ID{}
}
