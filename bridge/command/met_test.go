package command

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// tell publishes an event as the webhook listener does.
func (b *bus) tell(t *testing.T, name, body string, header ...string) {
	t.Helper()
	m := &nats.Msg{Subject: b.names.Event(name), Data: []byte(body), Header: nats.Header{subjects.HeaderEvent: {name}}}
	for i := 0; i+1 < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestContactsAreFoundInEvents(t *testing.T) {
	const incoming, outgoing = "incoming", "outgoing"
	for name, c := range map[string]struct {
		event, body, direction, address, id string
	}{
		"contact created":        {"contact_created", `{"id":7,"email":"Ann@Example.test"}`, "", "ann@example.test", "7"},
		"contact updated":        {"contact_updated", `{"id":"c-7","phone_number":"+491"}`, "", "+491", "c-7"},
		"conversation":           {"conversation_created", `{"id":1,"meta":{"sender":{"id":7,"email":"ann@example.test","type":"contact"}}}`, "", "ANN@example.test", "7"},
		"widget":                 {"webwidget_triggered", `{"id":41,"contact":{"id":7,"email":"ann@example.test"}}`, "", "ann@example.test", "7"},
		"message of a contact":   {"message_created", `{"id":1,"sender":{"id":7,"email":"ann@example.test"}}`, incoming, "ann@example.test", "7"},
		"conversation inside":    {"message_created", `{"id":1,"sender":{"id":2,"type":"agent_bot"},"conversation":{"meta":{"sender":{"id":7,"phone_number":"+491"}}}}`, outgoing, "+491", "7"},
		"an agent's address":     {"message_created", `{"id":1,"sender":{"id":7,"email":"bo@example.test","type":"user"}}`, outgoing, "bo@example.test", ""},
		"an agent without type":  {"message_created", `{"id":1,"sender":{"id":7,"email":"bo@example.test"}}`, outgoing, "bo@example.test", ""},
		"an assignee":            {"conversation_created", `{"meta":{"assignee":{"id":7,"email":"bo@example.test"}}}`, "", "bo@example.test", ""},
		"no id":                  {"contact_created", `{"email":"ann@example.test"}`, "", "ann@example.test", ""},
		"an id that is none":     {"contact_created", `{"id":{},"email":"ann@example.test"}`, "", "ann@example.test", ""},
		"an address that is not": {"contact_created", `{"id":7,"email":["ann@example.test"]}`, "", "ann@example.test", ""},
		"no JSON":                {"contact_created", `{"id":7,`, "", "ann@example.test", ""},
		"not an object":          {"contact_created", `7`, "", "ann@example.test", ""},
		"somebody else's":        {"contact_created", `{"id":7,"email":"ann@example.test"}`, "", "di@example.test", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMet(nil, subjects.Names{})
			m.take(&stored{name: c.event, direction: c.direction, body: c.body}, 1)
			if id := m.known(c.address); id.String() != c.id {
				t.Errorf("%q; want %q", id, c.id)
			}
		})
	}
}

// stored is a message as the stream has it.
type stored struct {
	jetstream.Msg
	name, direction, body string
}

func (s *stored) Data() []byte { return []byte(s.body) }

func (s *stored) Headers() nats.Header {
	return nats.Header{subjects.HeaderEvent: {s.name}, subjects.HeaderMessageType: {s.direction}}
}

func TestAnAddressBelongsToWhoWasSeenWithItLast(t *testing.T) {
	m := newMet(nil, subjects.Names{})
	see := func(seq uint64, id int, members string) {
		m.take(&stored{name: "contact_updated", body: fmt.Sprintf(`{"id":%d,%s}`, id, members)}, seq)
	}
	want := func(address, id string) {
		t.Helper()
		if got := m.known(address); got.String() != id {
			t.Errorf("%s is of %q; want %q", address, got, id)
		}
	}
	see(5, 7, `"email":"ann@example.test","phone_number":"+491"`)
	see(4, 8, `"email":"ann@example.test"`) // an older event, read later
	want("ann@example.test", "7")
	see(6, 7, `"email":"other@example.test"`)
	want("ann@example.test", "")
	want("other@example.test", "7")
	want("+491", "7") // the event did not tell it
	see(7, 9, `"email":"ann@example.test"`)
	want("ann@example.test", "9")
	for n := range 2*metKept - 3 { // with those three, two generations are full
		see(uint64(10+n), 100+n, fmt.Sprintf(`"email":"%d@example.test"`, n))
	}
	want("ann@example.test", "9")
	see(1e9, 99, `"email":"last@example.test"`)
	want("last@example.test", "99")
	want("ann@example.test", "")
	want("0@example.test", "")
	want("39990@example.test", "40090")
	if n := len(m.young.byID) + len(m.elderly.byID); n > 2*metKept {
		t.Errorf("%d contacts are kept", n)
	}
}

func TestAContactThatTheAPIKnowsIsFoundInItsEvents(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == CreateContact {
			return behaviour{refuse: errTaken}
		}
		return behaviour{}
	}
	b.tell(t, "message_created", `{"id":1,"sender":{"id":78,"phone_number":"+4930123456"}}`, subjects.HeaderMessageType, "incoming")
	b.tell(t, "conversation_created", `{"id":1,"meta":{"sender":{"id":77,"email":"Ann@example.test"}}}`)
	b.tell(t, "conversation_updated", `{"id":1,"meta":{"sender":{"id":79,"email":"ann@example.test"}}}`) // not looked at: they are too many
	run(t, newRunner(t, b, p, testConfig()), 1)
	for n := range 2 {
		id := fmt.Sprint("ann-", n)
		b.command(t, subjects.ConversationStart, id, startAnn)
		r := b.result(t, subjects.ConversationStart, id)
		if r.Status != subjects.StatusDone || r.ContactID.String() != "77" || r.ConversationID.IsZero() || r.Attempts != 2-n {
			t.Errorf("%+v", r)
		}
	}
	b.command(t, subjects.ContactCreate, "di", `{"inbox_id":1,"name":"Di","phone_number":"+4930123456"}`)
	r := b.result(t, subjects.ContactCreate, "di")
	if r.Status != subjects.StatusDone || r.ContactID.String() != "78" || r.HTTPStatus != http.StatusUnprocessableEntity {
		t.Errorf("%+v", r)
	}
	b.tell(t, "contact_created", `{"id":80,"email":"new@example.test"}`) // after the events have been read
	b.command(t, subjects.ContactCreate, "new", `{"inbox_id":1,"name":"New","email":"new@example.test"}`)
	if r := b.result(t, subjects.ContactCreate, "new"); r.Status != subjects.StatusDone || r.ContactID.String() != "80" {
		t.Errorf("%+v", r)
	}
}

func TestAContactWhoseAnswerWasLostIsFoundByAnEventThatComesLater(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	var refused atomic.Bool
	told := false
	p.behave = func(op Operation, _, _ string, try int) behaviour {
		switch {
		case op == CreateContact && try == 1:
			return behaviour{lose: errLost}
		case op == CreateContact:
			refused.Store(true)
			return behaviour{refuse: errTaken}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait = natstest.Patience
	r := newRunner(t, b, p, cfg)
	look := r.contacts
	r.contacts = finder{look, func() {
		if refused.Load() && !told { // the API has refused it, and the bridge looks for it
			told = true
			b.tell(t, "contact_created", `{"id":77,"email":"ann@example.test"}`)
		}
	}}
	run(t, r, 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	if r := b.result(t, subjects.ConversationStart, "1"); r.Status != subjects.StatusDone || r.ContactID.String() != "77" {
		t.Errorf("%+v", r)
	}
}

// finder is a directory that tells when somebody has looked in vain.
type finder struct {
	Contacts
	missed func()
}

func (f finder) Find(ctx context.Context, address string) (subjects.ID, error) {
	id, err := f.Contacts.Find(ctx, address)
	if err == nil && id.IsZero() {
		f.missed()
	}
	return id, err
}
