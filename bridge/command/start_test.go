package command

import (
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

const startAnn = `{"inbox_id":5,"contact":{"name":"Ann","email":"ann@example.test"}}`

func deedsOf(p *platform, op Operation) (n int) {
	for _, d := range p.done() {
		if d.op == op {
			n++
		}
	}
	return n
}

func TestARetriedStartCreatesTheContactOnce(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, try int) behaviour {
		if op == CreateConversation && try < 3 {
			return behaviour{refuse: errUnavailable}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	r := b.result(t, subjects.ConversationStart, "1")
	if r.Status != subjects.StatusDone || r.ContactID.String() != "9001" || r.ConversationID.String() != "9002" || r.Attempts != 4 {
		t.Errorf("%+v", r)
	}
	b.command(t, subjects.ConversationStart, "2", startAnn)
	if r := b.result(t, subjects.ConversationStart, "2"); r.Status != subjects.StatusDone || r.ContactID.String() != "9001" || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
	if n := deedsOf(p, CreateContact); n != 1 {
		t.Errorf("%d contacts", n)
	}
}

func TestAStartWithAContactThatExistsAndIsNotKnownIsRefused(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == CreateContact {
			return behaviour{refuse: errTaken}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	if r := b.result(t, subjects.ConversationStart, "1"); r.Status != subjects.StatusRefused || r.Reason != subjects.ReasonRejected || r.Detail == "" {
		t.Errorf("%+v", r)
	}
	if len(p.done()) != 0 {
		t.Errorf("%v", p.done())
	}
}

func TestALostConversationIsFoundByItsEvent(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == CreateConversation {
			for i, source := range []string{"bo@example.test", "ann@example.test"} { // somebody else's first
				id := string(rune('7' + i))
				b.created(t, id, source)
			}
			return behaviour{lose: errLost}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	if r := b.result(t, subjects.ConversationStart, "1"); r.Status != subjects.StatusDone || r.ConversationID.String() != "8" {
		t.Errorf("%+v", r)
	}
}

func (b *bus) created(t *testing.T, id, source string) {
	body := `{"event":"conversation_created","id":` + id + `,"inbox_id":5,"contact_inbox":{"source_id":"` + source + `","contact_id":1}}`
	m := &nats.Msg{Subject: b.names.Event(subjects.EventConversationCreated), Data: []byte(body), Header: nats.Header{
		subjects.HeaderEvent: {subjects.EventConversationCreated}, subjects.HeaderConversationID: {id}, subjects.HeaderInboxID: {"5"},
	}}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestALostContactIsParked(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ContactCreate, "1", `{"inbox_id":5,"name":"Ann","email":"ann@example.test"}`)
	if r := b.result(t, subjects.ContactCreate, "1"); r.Status != subjects.StatusUnknown || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

// TestAStartWhoseContactIsGoneMakesItAnew: the contact that the directory knows was deleted at the vendor.
func TestAStartWhoseContactIsGoneMakesItAnew(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, contact, _ string, _ int) behaviour {
		if op == CreateConversation && contact == "777" {
			return behaviour{refuse: errNotFound}
		}
		return behaviour{}
	}
	r := newRunner(t, b, p, testConfig())
	if err := r.contacts.Remember(t.Context(), "ann@example.test", subjects.NumberID(777)); err != nil {
		t.Fatal(err)
	}
	run(t, r, 1)
	for _, each := range []struct {
		id       string
		attempts int
	}{{"1", 3}, {"2", 1}} {
		b.command(t, subjects.ConversationStart, each.id, startAnn)
		if r := b.result(t, subjects.ConversationStart, each.id); r.Status != subjects.StatusDone || r.ContactID.String() != "9001" || r.Attempts != each.attempts {
			t.Errorf("%+v", r)
		}
	}
	if n := deedsOf(p, CreateContact); n != 1 {
		t.Errorf("%d contacts", n)
	}
}

// TestAStartThatIsNotFoundForAnotherReasonEnds: the contact is there, but its inbox is not.
func TestAStartThatIsNotFoundForAnotherReasonEnds(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == CreateConversation {
			return behaviour{refuse: errNotFound}
		}
		return behaviour{refuse: errTaken}
	}
	r := newRunner(t, b, p, testConfig())
	if err := r.contacts.Remember(t.Context(), "ann@example.test", subjects.NumberID(777)); err != nil {
		t.Fatal(err)
	}
	run(t, r, 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	if r := b.result(t, subjects.ConversationStart, "1"); r.Status != subjects.StatusRefused || r.Reason != subjects.ReasonNotFound || r.HTTPStatus != 404 || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
}

// TestTheContactOfAnEarlierStartHasNoRightToAConversation: the earlier command made two calls, of which one made a conversation, and that is known.
func TestTheContactOfAnEarlierStartHasNoRightToAConversation(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, try int) behaviour {
		if op == CreateConversation && try == 2 {
			b.created(t, "8", "ann@example.test")
			return behaviour{lose: errLost}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	for _, id := range []string{"1", "2"} {
		b.command(t, subjects.ConversationStart, id, startAnn)
		if r := b.result(t, subjects.ConversationStart, id); r.Status != subjects.StatusDone {
			t.Errorf("%+v", r)
		}
	}
}

// TestAContactIsMadeAnewOnlyForOneOfTheDirectoryThatIsNotFound, and once.
func TestAContactIsMadeAnewOnlyForOneOfTheDirectoryThatIsNotFound(t *testing.T) {
	t.Parallel()
	const byID = `{"inbox_id":5,"contact_id":777,"source_id":"ann@example.test"}`
	for name, c := range map[string]struct {
		body              string
		conversation      error // what the API says to it
		contact           error
		event             string // of a contact with the address
		contacts, answers int
		status            int
	}{
		"the bot gave the id":               {body: byID, conversation: errNotFound, answers: 1, status: 404},
		"refused for another reason":        {body: startAnn, conversation: errInvalid, answers: 1, status: 422},
		"not found anew, either":            {body: startAnn, conversation: errNotFound, contacts: 1, answers: 3, status: 404},
		"an event tells the same id":        {body: startAnn, conversation: errNotFound, contact: errTaken, event: "777", answers: 2, status: 404},
		"not found with that of the event":  {body: startAnn, conversation: errNotFound, contact: errTaken, event: "778", answers: 3, status: 404},
		"the new contact is refused itself": {body: startAnn, conversation: errNotFound, contact: errInvalid, answers: 2, status: 422},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			p.behave = func(op Operation, _, _ string, _ int) behaviour {
				if op == CreateConversation {
					return behaviour{refuse: c.conversation}
				}
				return behaviour{refuse: c.contact}
			}
			if c.event != "" {
				b.tell(t, "contact_created", `{"id":`+c.event+`,"email":"ann@example.test"}`)
			}
			r := newRunner(t, b, p, testConfig())
			if err := r.contacts.Remember(t.Context(), "ann@example.test", subjects.NumberID(777)); err != nil {
				t.Fatal(err)
			}
			run(t, r, 1)
			b.command(t, subjects.ConversationStart, "1", c.body)
			if r := b.result(t, subjects.ConversationStart, "1"); r.Status != subjects.StatusRefused || r.HTTPStatus != c.status || r.Attempts != c.answers {
				t.Errorf("%+v", r)
			}
			if n := deedsOf(p, CreateContact); n != c.contacts {
				t.Errorf("%d contacts", n)
			}
		})
	}
}

var errInvalid = &cxapi.Error{Op: "POST conversations/", Status: 422, Kind: cxapi.KindRejected, Outcome: cxapi.OutcomeNever, Body: "inbox is not valid"}
