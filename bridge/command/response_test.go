package command

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// saying is an error with an answer of the API.
func saying(e *cxapi.Error, answer string) *cxapi.Error {
	own := *e
	own.Answer = json.RawMessage(answer)
	return &own
}

// TestTheResponseIsTheAnswerToTheCallThatTheStatusIsOf: whatever the status, and never that of an earlier call.
func TestTheResponseIsTheAnswerToTheCallThatTheStatusIsOf(t *testing.T) {
	const long = time.Hour
	refuse := func(errs ...error) func(try int) behaviour {
		return func(try int) behaviour { return behaviour{refuse: errs[min(try, len(errs))-1]} }
	}
	for name, c := range map[string]struct {
		kind     subjects.Kind
		budget   time.Duration
		behave   func(try int) behaviour
		status   subjects.Status
		http     int
		response string
	}{
		"refused":              {subjects.MessageSend, long, refuse(saying(errNotFound, `{"error":"nope"}`)), subjects.StatusRefused, 404, `{"error":"nope"}`},
		"refused without JSON": {subjects.MessageSend, long, refuse(errNotFound), subjects.StatusRefused, 404, "null"},
		"too long":             {subjects.MessageSend, long, refuse(saying(errNotFound, `"`+strings.Repeat("x", maxResponse)+`"`)), subjects.StatusRefused, 404, "null"},
		"exhausted":            {subjects.MessageSend, 0, refuse(saying(errUnavailable, `["busy"]`)), subjects.StatusExhausted, 503, `["busy"]`},
		"unknown":              {subjects.ContactCreate, long, refuse(saying(errLost, `{"status":500}`)), subjects.StatusUnknown, 500, `{"status":500}`},
		"done, as it says": {
			subjects.ConversationFinish, long, refuse(errLost, saying(errTaken, `{"message":"already"}`)), subjects.StatusDone, 422, `{"message":"already"}`,
		},
		"replaced":         {subjects.MessageSend, long, refuse(saying(errUnavailable, `"busy"`), saying(errNotFound, `"gone"`)), subjects.StatusRefused, 404, `"gone"`},
		"replaced by none": {subjects.MessageSend, long, refuse(saying(errUnavailable, `"busy"`), errNotFound), subjects.StatusRefused, 404, "null"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			p.behave = func(_ Operation, _, _ string, try int) behaviour { return c.behave(try) }
			cfg := testConfig()
			cfg.RetryFor = c.budget
			run(t, newRunner(t, b, p, cfg), 1)
			b.command(t, c.kind, "1", map[subjects.Kind]string{
				subjects.MessageSend: `{"conversation_id":42,"content":"x"}`, subjects.ConversationFinish: `{"conversation_id":42}`,
				subjects.ContactCreate: `{"inbox_id":5,"name":"Ann","email":"ann@example.test"}`,
			}[c.kind])
			r := b.result(t, c.kind, "1")
			if r.Status != c.status || r.HTTPStatus != c.http || string(r.Response) != c.response {
				t.Errorf("%s %d %.100s", r.Status, r.HTTPStatus, r.Response)
			}
			record, err := ledger.New(b.js, b.names, nil).Find(t.Context(), "1") // from which a bridge that takes over announces the result
			if err != nil || record.Outcome == nil || string(record.Outcome.Result.Response) != c.response {
				t.Errorf("%+v, %v", record.Outcome, err)
			}
		})
	}
}

// TestTheResponseOfAStartIsThatOfTheCallThatEndsIt: the conversation is refused, and that the contact exists changes nothing.
func TestTheResponseOfAStartIsThatOfTheCallThatEndsIt(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == CreateConversation {
			return behaviour{refuse: saying(errNotFound, `"no such inbox"`)}
		}
		return behaviour{refuse: saying(errTaken, `"taken"`)}
	}
	r := newRunner(t, b, p, testConfig())
	if err := r.contacts.Remember(t.Context(), "ann@example.test", subjects.NumberID(777)); err != nil {
		t.Fatal(err)
	}
	run(t, r, 1)
	b.command(t, subjects.ConversationStart, "1", startAnn)
	if r := b.result(t, subjects.ConversationStart, "1"); r.HTTPStatus != 404 || string(r.Response) != `"no such inbox"` {
		t.Errorf("%d %s", r.HTTPStatus, r.Response)
	}
}
