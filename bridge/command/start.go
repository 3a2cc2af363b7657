package command

import (
	"context"
	"time"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// A conversation.start that describes its contact takes two calls: the contact, and the conversation. Each has a claim of its own, given
// back in between, and the id of the contact is in the directory before the second one begins, so that a retry does not create it again.
// After a lost answer the first call is repeated: it is the API that refuses a second contact with the same address. It does not tell the
// id then, but the directory or an event may. A contact of the directory that the API does not know any more is made anew.

// findContact looks the contact up that a conversation is to be started with, or of which the API says that it exists.
func (j *job) findContact(ctx context.Context) (next state, err error) {
	if j.taken != nil {
		return j.recall(ctx)
	}
	if j.kind != subjects.ConversationStart || !j.contact.IsZero() || j.contactSought {
		return nil, nil
	}
	id, err := j.shift.contacts.Find(ctx, j.address())
	if err != nil {
		return nil, err
	}
	j.contact, j.contactSought, j.fromDirectory = id, true, !id.IsZero()
	return nil, nil
}

// recall looks in the directory, where another command may have put the contact meanwhile, and in the events. The claim has been given back,
// because that may take a while.
func (j *job) recall(ctx context.Context) (next state, err error) {
	id, err := j.shift.contacts.Find(ctx, j.address())
	if err == nil && (id.IsZero() || id.String() == j.stale.String()) {
		if id, err = j.shift.met.find(ctx, j.address()); err == nil && id.String() == j.stale.String() {
			id = subjects.ID{}
		}
		if err == nil && !id.IsZero() {
			err = j.shift.contacts.Remember(ctx, j.address(), id)
		}
	}
	switch {
	case err != nil:
		return nil, err
	case id.IsZero() && j.ambiguous:
		return j.recallAgain(), nil
	case id.IsZero():
		return j.conclude(*j.taken), nil
	}
	j.contact, j.taken = id, nil
	if j.kind == subjects.ContactCreate {
		return j.conclude(verdict{status: subjects.StatusDone, detail: "the contact existed already"}), nil
	}
	return nil, nil
}

// recallAgain looks for a while, because the contact may be that of a lost answer, whose event is on its way.
func (j *job) recallAgain() state {
	now := time.Now()
	if j.searching.IsZero() {
		j.searching, j.looks = now, 0
	}
	left := j.shift.cfg.patience(false) - now.Sub(j.searching)
	if left <= 0 {
		return j.conclude(*j.taken)
	}
	j.looks++
	wait := max(min(left, min(firstLook<<min(j.looks-1, 4), lastLook)), time.Millisecond)
	return func(context.Context) (time.Duration, state) { return wait, j.ready }
}

// address is the email of the contact, else its phone number.
func (j *job) address() string {
	if c := j.command.Contact; c != nil {
		return c.SourceID()
	}
	return j.command.Start.Contact.SourceID()
}

// remember puts a contact that was just created into the directory.
func (j *job) remember(op Operation) state {
	next := state(nil)
	if op == CreateItsContact {
		next = j.release(0)
	} else {
		next = j.conclude(verdict{status: subjects.StatusDone})
	}
	return func(ctx context.Context) (time.Duration, state) {
		if err := j.shift.contacts.Remember(ctx, j.address(), j.contact); err != nil {
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
