package command

import (
	"context"
	"time"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// A conversation.start that describes its contact takes two calls: the contact, and the conversation. Each has a claim of its own, given
// back in between, and the id of the contact is in the directory before the second one begins, so that a retry does not create it again.
// After a lost answer the first call is repeated: it is the API that refuses a second contact with the same address.

// findContact looks the contact up that a conversation is to be started with.
func (j *job) findContact(ctx context.Context) error {
	if j.kind != subjects.ConversationStart || !j.contact.IsZero() || j.contactSought {
		return nil
	}
	id, err := j.shift.contacts.Find(ctx, j.command.Start.Contact.SourceID())
	if err != nil {
		return err
	}
	j.contact, j.contactSought = id, true
	return nil
}

// remember puts a contact that was just created into the directory.
func (j *job) remember(op Operation) state {
	address, next := "", state(nil)
	if op == CreateItsContact {
		address, next = j.command.Start.Contact.SourceID(), j.release(0)
	} else {
		address, next = j.command.Contact.SourceID(), j.conclude(verdict{status: subjects.StatusDone})
	}
	return func(ctx context.Context) (time.Duration, state) {
		if err := j.shift.contacts.Remember(ctx, address, j.contact); err != nil {
			return j.fault(err)
		}
		return 0, next
	}
}

func (j *job) conversationParams() cxapi.ConversationParams {
	s := j.command.Start
	return cxapi.ConversationParams{
		SourceID: j.sourceID(), ContactID: toAPI(j.contact), InboxID: toAPI(s.InboxID), Priority: s.Priority, InitialMessage: s.InitialMessage,
	}
}

func (j *job) sourceID() string {
	if s := j.command.Start; s.Contact == nil {
		return s.SourceID
	}
	return j.command.Start.Contact.SourceID()
}

func (j *job) contactParams() cxapi.ContactParams {
	if c := j.command.Contact; c != nil {
		return cxapi.ContactParams{InboxID: toAPI(c.InboxID), Name: c.Name, Email: c.Email, PhoneNumber: c.PhoneNumber}
	}
	s := j.command.Start
	return cxapi.ContactParams{InboxID: toAPI(s.InboxID), Name: s.Contact.Name, Email: s.Contact.Email, PhoneNumber: s.Contact.PhoneNumber}
}

// toAPI and fromAPI translate ids, which keep the form in which they came.
func toAPI(id subjects.ID) cxapi.ID {
	raw, err := id.MarshalJSON()
	if err != nil || id.IsZero() {
		return cxapi.ID{}
	}
	out, err := cxapi.ParseID(raw)
	if err != nil {
		return cxapi.ID{}
	}
	return out
}

func fromAPI(id cxapi.ID) subjects.ID {
	raw, err := id.MarshalJSON()
	if err != nil || id.IsZero() {
		return subjects.ID{}
	}
	out, err := subjects.ParseID(raw)
	if err != nil {
		return subjects.ID{}
	}
	return out
}
