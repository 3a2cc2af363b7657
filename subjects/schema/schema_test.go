package schema_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/schema"
)

func TestAllSchemasAreJSONSchema202012(t *testing.T) {
	files, err := schema.Files()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		document, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, document); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		compiled, err := c.Compile(name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if compiled.DraftVersion != 2020 {
			t.Errorf("%s: draft %d", name, compiled.DraftVersion)
		}
		if strings.Contains(string(text), `"description": ""`) {
			t.Errorf("%s: a member without description", name)
		}
	}
}

func TestResultsSatisfyTheirSchema(t *testing.T) {
	s := compile(t, schema.Result())
	at := subjects.Time{Time: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)}
	full := subjects.Result{
		CommandID: "a", Command: subjects.MessageSend, Status: subjects.StatusDone, Tenant: "t", ConversationID: subjects.NumberID(42),
		MessageID: subjects.StringID("m"), Attempts: 1, HTTPStatus: 200, ReceivedAt: at, FinishedAt: at, Response: json.RawMessage(`{"id":1}`),
	}
	for _, r := range []subjects.Result{{Status: subjects.StatusInvalid, Reason: subjects.ReasonMalformed, Command: "message.shout"}, full} {
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !satisfies(s, string(raw)) {
			t.Errorf("the schema refuses %s", raw)
		}
		for _, change := range [][2]string{{`"command_id"`, `"Command_id"`}, {fmt.Sprintf("%q", r.Status), `"ok"`}} {
			if spoilt := strings.Replace(string(raw), change[0], change[1], 1); satisfies(s, spoilt) {
				t.Errorf("the schema accepts %s", spoilt)
			}
		}
		if !satisfies(s, strings.Replace(string(raw), "{", `{"later":1,`, 1)) {
			t.Error("the schema is not open")
		}
	}
}

func TestHistorySatisfiesItsSchema(t *testing.T) {
	raw, err := json.Marshal([]subjects.Attempt{{At: subjects.Time{Time: time.Unix(0, 0)}, HTTPStatus: 503, Reason: subjects.ReasonUnavailable}, {}})
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, schema.History())
	if !satisfies(s, string(raw)) || !satisfies(s, "[]") || satisfies(s, "null") || satisfies(s, `[{"time":null}]`) {
		t.Errorf("the schema refuses %s, or accepts what is no history", raw)
	}
}

func TestEventsMayHoldWhatNobodyKnows(t *testing.T) {
	for _, l := range schema.Layouts() {
		s := compile(t, schema.Event(l))
		name := "never_heard_of"
		if len(l.Events) > 0 {
			name = l.Events[len(l.Events)-1]
		}
		for _, rest := range []string{``, `,"new":{"a":[1]}`, `,"id":"x","inbox":null,"conversation":{"id":null,"new":true},"message_type":0`} {
			if body := fmt.Sprintf(`{"event":%q%s}`, name, rest); !satisfies(s, body) {
				t.Errorf("%s: the schema refuses %s", l.Name, body)
			}
		}
		if satisfies(s, `{}`) || satisfies(s, `{"event":""}`) || satisfies(s, `[]`) {
			t.Errorf("%s: the schema accepts what is no event", l.Name)
		}
	}
}

func TestAnUnknownKindHasNoBody(t *testing.T) {
	if satisfies(compile(t, schema.Command("message.shout")), `{}`) {
		t.Error("accepted")
	}
}
