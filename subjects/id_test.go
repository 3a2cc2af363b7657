package subjects_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestAnIDIsSentOnAsItCame(t *testing.T) {
	for _, raw := range []string{`7`, `"7"`, `-1`, `0`, `"a\"b"`, `9007199254740993`, `null`} {
		var id subjects.ID
		if err := json.Unmarshal([]byte(raw), &id); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if out, err := json.Marshal(id); err != nil || string(out) != raw {
			t.Errorf("%s became %s (%v)", raw, out, err)
		}
	}
	if subjects.NumberID(7).String() != subjects.StringID("7").String() || subjects.NumberID(7) == subjects.StringID("7") {
		t.Error("7 and \"7\" must name one thing in two forms")
	}
}

func TestWhatIsNoID(t *testing.T) {
	for _, raw := range []string{`1.0`, `1e2`, `01`, `-`, `true`, `{}`, `[]`, `""`, `"a\u0000"`, `123456789012345678901`, ``, `"\ud800"`} {
		if id, err := subjects.ParseID([]byte(raw)); err == nil {
			t.Errorf("%s was taken as %q", raw, id)
		}
	}
}

func TestAResultIsWrittenAsTheContractSays(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 180e6, time.FixedZone("x", 3600))
	out, err := json.Marshal(subjects.Result{
		CommandID: "b1c7", Command: subjects.MessageSend, Status: subjects.StatusDone, Tenant: "acme.cx.sangoma.com", ConversationID: subjects.NumberID(42),
		MessageID: subjects.NumberID(9001), Attempts: 1, HTTPStatus: 200, FinishedAt: subjects.Time{Time: at}, Response: json.RawMessage(`{"id":9001}`),
	})
	want := `{"command_id":"b1c7","command":"message.send","status":"done","reason":"","detail":"","tenant":"acme.cx.sangoma.com","conversation_id":42,` +
		`"message_id":9001,"contact_id":null,"attempts":1,"http_status":200,"received_at":null,"finished_at":"2026-11-22T09:00:00.180Z","response":{"id":9001}}`
	if err != nil || string(out) != want {
		t.Errorf("got %s (%v)\nwant %s", out, err, want)
	}
	var back subjects.Result
	if err := json.Unmarshal(out, &back); err != nil || !back.FinishedAt.Equal(at) || back.ContactID != (subjects.ID{}) {
		t.Errorf("read back %+v (%v)", back, err)
	}
}
