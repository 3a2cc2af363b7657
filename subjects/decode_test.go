package subjects_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestTheConversationOfABodyThatIsNoCommand(t *testing.T) {
	for body, want := range map[string]subjects.ID{
		`{"conversation_id":42}`: subjects.NumberID(42),
		` {"a":{"conversation_id":1},"a":[1],"conversation_id":"4\u0032"} `: subjects.StringID("42"),
		`{"content":"` + "\xff" + `","conversation_id":42}`:                 subjects.NumberID(42),
		`{"conversation_id":42,"conversation_id":42}`:                       {},
		`{"conversation_id":1,"conversation_id":null}`:                      {},
		`{"conversation_id":4.2}`:                                           {},
		`{"conversation_id":{}}`:                                            {},
		`{"conversation_id":""}`:                                            {},
		`{"Conversation_ID":42}`:                                            {},
		`{"conversation_id":42} x`:                                          {},
		`{"conversation_id":42`:                                             {},
		`[{"conversation_id":42}]`:                                          {},
		`42`:                                                                {}, ``: {}, `{}`: {}, `null`: {},
	} {
		if got := subjects.ConversationIn([]byte(body)); got != want {
			t.Errorf("%q: %v, want %v", body, got, want)
		}
	}
}

func number(n int64) *int64 { return &n }

func TestCommandsAreDecoded(t *testing.T) {
	for _, c := range []struct {
		kind subjects.Kind
		body string
		want subjects.Command
		key  string
	}{
		{
			subjects.MessageSend, `{"conversation_id":42,"content":"hi"}`,
			subjects.Command{Message: &subjects.SendMessage{ConversationID: subjects.NumberID(42), Content: "hi", MessageType: "outgoing"}}, "conversation/42",
		},
		{
			subjects.MessageSend, ` {"tenant_domain":"t","message_type":"incoming","conversation_id":"42","content":"h\u00e9\n"} `,
			subjects.Command{Tenant: "t", Message: &subjects.SendMessage{ConversationID: subjects.StringID("42"), Content: "hé\n", MessageType: "incoming"}}, "conversation/42",
		},
		{
			subjects.ConversationStart, `{"inbox_id":5,"contact_id":77,"source_id":"ann@example.test","priority":2,"initial_message":"hello"}`,
			subjects.Command{Start: &subjects.StartConversation{InboxID: subjects.NumberID(5), ContactID: subjects.NumberID(77), SourceID: "ann@example.test", Priority: number(2), InitialMessage: "hello"}}, "contact/77",
		},
		{
			subjects.ConversationStart, `{"inbox_id":5,"contact":{"name":"Ann","email":"Ann@example.test","phone_number":"+1"}}`,
			subjects.Command{Start: &subjects.StartConversation{InboxID: subjects.NumberID(5), Contact: &subjects.ContactDetails{Name: "Ann", Email: "Ann@example.test", PhoneNumber: "+1"}}}, "contact/ann@example.test",
		},
		{
			subjects.ConversationHandoff, `{"conversation_id":"a b"}`,
			subjects.Command{Conversation: &subjects.ConversationRef{ConversationID: subjects.StringID("a b")}}, "conversation/a b",
		},
		{
			subjects.MessageSend, "\t{ \"c\\u006fntent\" :\r\n\"\\\\\\\"}],{[\" ,\"conversation_id\" : -7\n} ",
			subjects.Command{Message: &subjects.SendMessage{ConversationID: subjects.NumberID(-7), Content: `\"}],{[`, MessageType: "outgoing"}}, "conversation/-7",
		},
		{
			subjects.ConversationFinish, `{"conversation_id":7,"tenant_domain":null}`,
			subjects.Command{Conversation: &subjects.ConversationRef{ConversationID: subjects.NumberID(7)}}, "conversation/7",
		},
		{
			subjects.ContactCreate, `{"inbox_id":"5","name":"Bo","phone_number":"+15"}`,
			subjects.Command{Contact: &subjects.CreateContact{InboxID: subjects.StringID("5"), ContactDetails: subjects.ContactDetails{Name: "Bo", PhoneNumber: "+15"}}}, "contact/+15",
		},
	} {
		c.want.Kind = c.kind
		got, err := subjects.Decode(c.kind, []byte(c.body))
		if err != nil {
			t.Errorf("%s: %v", c.body, err)
			continue
		}
		if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(subjects.ID{})); diff != "" {
			t.Errorf("%s: %s", c.body, diff)
		}
		if got.OrderKey() != c.key {
			t.Errorf("%s: key %q, want %q", c.body, got.OrderKey(), c.key)
		}
	}
}

func TestMalformedCommandsAreRefusedByRule(t *testing.T) {
	for _, c := range []struct {
		kind       subjects.Kind
		body, rule string
	}{
		{"message.shout", `{}`, "there is no such command"},
		{subjects.MessageSend, ``, "must be a JSON object"},
		{subjects.MessageSend, `[]`, "must be a JSON object"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x"`, "must be a JSON object"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x"} {}`, "nothing may follow"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x"}}`, "nothing may follow"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x",}`, "must be a JSON object"},
		{subjects.MessageSend, `{"conversation_id":1 "content":"x"}`, "must be a JSON object"},
		{subjects.MessageSend, `{"conversation_id":01,"content":"x"}`, "must be a JSON object"},
		{subjects.MessageSend, "{\"conversation_id\":1,\"content\":\"a\nb\"}", "must be a JSON object"},
		{subjects.MessageSend, "\u00a0{\"conversation_id\":1,\"content\":\"x\"}", "must be a JSON object"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x","c\u006fntent":"y"}`, `"content" occurs twice`},
		{subjects.MessageSend, `{"conversation_id":1,"content":{"a":"}"},"private":[[1,{}],2]}`, "content: must be a string, not an object"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x","private":[[1,{"a":"]"}],2]}`, "private: is not a member"},
		{subjects.MessageSend, "{\"conversation_id\":1,\"content\":\"\xff\"}", "must be UTF-8"},
		{subjects.MessageSend, `{"conversation_id":1,"conversation_id":2,"content":"x"}`, `"conversation_id" occurs twice`},
		{subjects.MessageSend, `{"content":"x"}`, "conversation_id: is missing"},
		{subjects.MessageSend, `{"conversation_id":null,"content":"x"}`, "conversation_id: is missing"},
		{subjects.MessageSend, `{"conversation_id":1.5,"content":"x"}`, "conversation_id: must be an integer or a string, not 1.5"},
		{subjects.MessageSend, `{"conversation_id":1e3,"content":"x"}`, "must be an integer or a string, not 1e3"},
		{subjects.MessageSend, `{"conversation_id":true,"content":"x"}`, "must be an integer or a string, not true"},
		{subjects.MessageSend, `{"conversation_id":"","content":"x"}`, "conversation_id: must not be empty"},
		{subjects.MessageSend, `{"conversation_id":1,"content":""}`, "content: must not be empty"},
		{subjects.MessageSend, `{"conversation_id":1,"content":7}`, "content: must be a string, not a number"},
		{subjects.MessageSend, `{"conversation_id":1,"content":["x"]}`, "content: must be a string, not an array"},
		{subjects.MessageSend, `{"conversation_id":1,"Content":"x"}`, "content: is missing"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x","private":true}`, "private: is not a member"},
		{subjects.MessageSend, `{"conversation_id":1,"content":"x","message_type":"template"}`, `message_type: must be "outgoing" or "incoming", not "template"`},
		{subjects.ConversationHandoff, `{}`, "conversation_id: is missing"},
		{subjects.ConversationFinish, `{"conversation_id":{}}`, "must be an integer or a string"},
		{subjects.ConversationStart, `{"inbox_id":5}`, "give contact_id and source_id, or contact"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact_id":1}`, "source_id: is missing"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact_id":1,"source_id":"s","contact":{"name":"A","email":"e"}}`, "must not stand beside"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact":{"name":"A"}}`, "contact.email: is missing: give email or phone_number"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact":{"email":"e"}}`, "contact.name: is missing"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact":{"name":"A","email":"e","x":1}}`, "contact.x: is not a member"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact":[]}`, "contact: must be a JSON object"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact_id":1,"source_id":"s","priority":"high"}`, "priority: must be an integer"},
		{subjects.ConversationStart, `{"inbox_id":5,"contact_id":1,"source_id":"s","priority":1.0}`, "priority: must be an integer"},
		{subjects.ContactCreate, `{"inbox_id":5,"name":"A"}`, "email: is missing: give email or phone_number"},
		{subjects.ContactCreate, `{"name":"A","email":"e"}`, "inbox_id: is missing"},
	} {
		_, err := subjects.Decode(c.kind, []byte(c.body))
		var malformed *subjects.MalformedError
		if !errors.As(err, &malformed) || !strings.Contains(err.Error(), c.rule) || !strings.HasPrefix(err.Error(), string(c.kind)+": ") {
			t.Errorf("%s %s: %v, want %q", c.kind, c.body, err, c.rule)
		}
	}
}

func TestWhatPeopleWroteIsNotInErrors(t *testing.T) {
	for _, body := range []string{`"secret text"`, `secret text`, `{"conversation_id":1,"content":["secret text"]}`, `{"conversation_id":1,"content":{"text":"secret text"}}`} {
		if _, err := subjects.Decode(subjects.MessageSend, []byte(body)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, k := range subjects.Kinds() {
		f.Add(string(k), `{"conversation_id":42,"content":"hi","inbox_id":5,"contact":{"name":"Ann","email":"a@b"},"name":"x","email":"y","priority":1}`)
		f.Add(string(k), `{"conversation_id":"7","inbox_id":5,"contact_id":1,"source_id":"s"}`)
	}
	f.Fuzz(func(t *testing.T, kind, body string) {
		c, err := subjects.Decode(subjects.Kind(kind), []byte(body))
		if err != nil {
			var malformed *subjects.MalformedError
			if !errors.As(err, &malformed) {
				t.Fatalf("not a MalformedError: %v", err)
			}
			return
		}
		if !json.Valid([]byte(body)) || c.OrderKey() == "" {
			t.Fatalf("accepted %q as %+v", body, c)
		}
	})
}
