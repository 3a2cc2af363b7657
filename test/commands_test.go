package test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// number reads an id that is a JSON number or string.
func number(t *testing.T, raw json.RawMessage) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		t.Errorf("id %s: %v", raw, err)
	}
	return n
}

// object reads a JSON object in which numbers stay as they are written.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&o); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return o
}

// golden is a request as the vendor documents it.
type golden struct{ path, body string }

func TestEachCommandArrivesAtTheAPIAsTheVendorDocumentsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	id := w.conversation("ann") // of contact 77
	for i, c := range []struct {
		kind, body string
		want       []golden
		members    map[string]string // of the result
	}{
		{"message.send", `{"conversation_id":1,"content":"hello & <b>\u00e9\n\"q\""}`,
			[]golden{{"messages/", `{"tenant_domain":"acme.cx.sangoma.com","content":"hello & <b>é\n\"q\"","message_type":"outgoing","conversation_id":1}`}},
			map[string]string{"conversation_id": `1`, "message_id": `9001`, "contact_id": `null`}},
		{"message.send", `{"tenant_domain":"acme.cx.sangoma.com","conversation_id":"1","content":"hi","message_type":"incoming"}`,
			[]golden{{"messages/", `{"tenant_domain":"acme.cx.sangoma.com","content":"hi","message_type":"incoming","conversation_id":"1"}`}},
			map[string]string{"conversation_id": `"1"`, "message_id": `9002`}},
		{"contact.create", `{"inbox_id":1,"name":"Bo","email":"bo@example.test","phone_number":"+4930123"}`,
			[]golden{{"contacts/", `{"tenant_domain":"acme.cx.sangoma.com","name":"Bo","email":"bo@example.test","inbox_id":1,"phone_number":"+4930123"}`}},
			map[string]string{"contact_id": `78`, "conversation_id": `null`}},
		{"contact.create", `{"inbox_id":"1","name":"Di","phone_number":"+4930124"}`,
			[]golden{{"contacts/", `{"tenant_domain":"acme.cx.sangoma.com","name":"Di","inbox_id":"1","phone_number":"+4930124"}`}},
			map[string]string{"contact_id": `79`}},
		{"conversation.start", `{"inbox_id":1,"contact_id":"78","source_id":"bo@example.test","priority":2,"initial_message":"hi"}`,
			[]golden{{"conversations/", `{"tenant_domain":"acme.cx.sangoma.com","source_id":"bo@example.test","contact_id":"78","inbox_id":1,"priority":2,"initial_message":"hi"}`}},
			map[string]string{"conversation_id": `2`}},
		{"conversation.start", `{"inbox_id":1,"contact":{"name":"Eve","email":"eve@example.test","phone_number":"+4930125"},"initial_message":"ho"}`,
			[]golden{
				{"contacts/", `{"tenant_domain":"acme.cx.sangoma.com","name":"Eve","email":"eve@example.test","inbox_id":1,"phone_number":"+4930125"}`},
				{"conversations/", `{"tenant_domain":"acme.cx.sangoma.com","source_id":"eve@example.test","contact_id":80,"inbox_id":1,"initial_message":"ho"}`},
			},
			map[string]string{"conversation_id": `3`, "contact_id": `80`}},
		{"conversation.start", `{"inbox_id":"1","contact":{"name":"Fay","phone_number":"+4930126"}}`,
			[]golden{
				{"contacts/", `{"tenant_domain":"acme.cx.sangoma.com","name":"Fay","inbox_id":"1","phone_number":"+4930126"}`},
				{"conversations/", `{"tenant_domain":"acme.cx.sangoma.com","source_id":"+4930126","contact_id":81,"inbox_id":"1"}`},
			},
			map[string]string{"conversation_id": `4`, "contact_id": `81`}},
		{"conversation.handoff", `{"conversation_id":"1"}`,
			[]golden{{"conversations/deliver-to-agent/", `{"tenant_domain":"acme.cx.sangoma.com","conversation_id":"1"}`}},
			map[string]string{"conversation_id": `"1"`, "message_id": `null`}},
		{"conversation.finish", `{"conversation_id":1}`,
			[]golden{{"conversations/finish/", `{"tenant_domain":"acme.cx.sangoma.com","conversation_id":1}`}},
			map[string]string{"conversation_id": `1`}},
	} {
		seen := len(w.sim.Journal())
		name := fmt.Sprintf("golden-%d", i)
		b.command(c.kind, name, c.body)
		got := b.wait(c.kind, name)
		if got.Status != "done" || got.HTTPStatus != 200 || got.Attempts != len(c.want) || !strings.HasPrefix(string(got.Response), "{") && string(got.Response) != "null" {
			t.Errorf("%s %s: %+v", c.kind, c.body, got)
		}
		members := object(t, string(b.got["cx.result."+c.kind+"."+name].Data))
		for member, want := range c.members {
			if raw, err := json.Marshal(members[member]); err != nil || string(raw) != want {
				t.Errorf("%s: %s is %s in the result; want %s", c.kind, member, raw, want)
			}
		}
		checkGolden(t, w.sim.Journal()[seen:], c.want)
	}
	if c, err := w.sim.Conversation(id); err != nil || c.Status != "resolved" {
		t.Errorf("%+v, %v", c, err)
	}
	b.oneResultEach(9)
	b.letters(0)
}

func checkGolden(t *testing.T, calls cxsim.Journal, want []golden) {
	t.Helper()
	if len(calls) != len(want) {
		t.Errorf("%d calls of the API; want %d: %+v", len(calls), len(want), calls)
		return
	}
	for i, call := range calls {
		if call.Method != "POST" || call.Path != "/cx/api/v1/digital-interactions/"+want[i].path || call.Query != "" {
			t.Errorf("%s %s?%s; want POST %s", call.Method, call.Path, call.Query, want[i].path)
		}
		if got, documented := object(t, call.Body), object(t, want[i].body); !reflect.DeepEqual(got, documented) {
			t.Errorf("%s\n got %s\nwant %s", call.Path, call.Body, want[i].body)
		}
		if call.Header["Content-Type"] != "application/json" || call.Header["Accept"] != "application/json" {
			t.Errorf("%s: %v", call.Path, call.Header)
		}
	}
}

func TestEachCommandHasExactlyOneResultUnderItsID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	odd := []string{
		"plain_ID-1", strings.Repeat("x", 64), strings.Repeat("x", 65), "with.dot", "with space", "a*b>c", "~tilde", "caf\u00e9 \u2615", "a/b:c=d",
		strings.Repeat("long ", 100) + "end",
	}
	for i, name := range odd {
		b.say(name, id, fmt.Sprint("text ", i))
	}
	for _, name := range odd {
		if r := b.said(name, "done", ""); r.Attempts != 1 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	// ce-id is the command id where there is no Nats-Msg-Id.
	body := fmt.Sprintf(`{"conversation_id":%d,"content":"by ce-id"}`, id)
	b.publish("cx.cmd.message.send", body, "ce-id", "cloud event 7")
	b.said("cloud event 7", "done", "")
	b.publish("cx.cmd.message.send", body, "ce-id", "not this", "Nats-Msg-Id", "this-one")
	b.said("this-one", "done", "")
	// Without either, the bridge makes one of the stream and the sequence.
	seq := b.publish("cx.cmd.message.send", body)
	m, err := b.results.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	made := m.Header.Get("Cx-Command-Id")
	if !strings.HasPrefix(made, "CX_COMMANDS-") || !strings.HasSuffix(made, fmt.Sprintf("-%d", seq)) || m.Subject != "cx.result.message.send."+token(made) {
		t.Errorf("%s: made id %q of sequence %d", m.Subject, made, seq)
	}
	if r := checkResult(t, m, "message.send", made); r.Status != "done" {
		t.Errorf("%+v", r)
	}
	b.oneResultEach(len(odd) + 3)
	b.letters(0)
}

func TestAResultAlsoGoesWhereTheCommandAsksFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	inbox := b.listen(nats.NewInbox())
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.say("with-reply", id, "hello", "Cx-Reply-To", inbox.Subject, "traceparent", trace, "tracestate", "k=v")
	r := b.said("with-reply", "done", "")
	m, err := inbox.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	if got := checkResult(t, m, "message.send", "with-reply"); !reflect.DeepEqual(got, r) {
		t.Errorf("the reply is %+v; the result %+v", got, r)
	}
	for _, carrier := range []*nats.Msg{m, b.got["cx.result.message.send.with-reply"]} {
		if !strings.HasPrefix(carrier.Header.Get("traceparent"), trace[:35]) || carrier.Header.Get("tracestate") != "k=v" {
			t.Errorf("%s: trace %q, %q", carrier.Subject, carrier.Header.Get("traceparent"), carrier.Header.Get("tracestate"))
		}
	}
	b.say("refused-with-reply", 4711, "hello", "Cx-Reply-To", inbox.Subject)
	if m, err = inbox.NextMsg(patience); err != nil {
		t.Fatal(err)
	}
	if got := checkResult(t, m, "message.send", "refused-with-reply"); got.Status != "refused" {
		t.Errorf("%+v", got)
	}
}

func TestAMalformedCommandIsInvalidAndKeptWholeAndNeverSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	w.conversation("ann")
	const (
		send, start, contact = "message.send", "conversation.start", "contact.create"
		good                 = `{"conversation_id":1,"content":"hi"}`
	)
	cases := []struct {
		subject, body string
		headers       []string
		reason        string
	}{
		{send, ``, nil, "malformed"},
		{send, `null`, nil, "malformed"},
		{send, `[]`, nil, "malformed"},
		{send, `"hi"`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi"`, nil, "malformed"},
		{send, good + good, nil, "malformed"},
		{send, "{\"conversation_id\":1,\"content\":\"\xff\"}", nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","conversation_id":2}`, nil, "malformed"},
		{send, `{"conversation_id":1}`, nil, "malformed"},
		{send, `{"content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":""}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":7}`, nil, "malformed"},
		{send, `{"conversation_id":1.5,"content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":"","content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":true,"content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":null,"content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","colour":"red"}`, nil, "malformed"},
		{send, `{"Conversation_ID":1,"content":"hi"}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","message_type":"sideways"}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","message_type":1}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","tenant_domain":3}`, nil, "malformed"},
		{send, `{"conversation_id":1,"content":"hi","tenant_domain":"other.cx.sangoma.com"}`, nil, "tenant_mismatch"},
		{send, good, []string{"Cx-Reply-To", "cx.cmd.message.send"}, "malformed"},
		{send, good, []string{"Cx-Reply-To", "elsewhere"}, "malformed"},
		{send, good, []string{"Cx-Reply-To", "_INBOX.>"}, "malformed"},
		{send, good, []string{"Cx-Reply-To", "_INBOX.a b"}, "malformed"},
		{send, good, []string{"Cx-Expires-At", "tomorrow"}, "malformed"},
		{send, good, []string{"Cx-Only-If", "sunshine"}, "malformed"},
		{send, good, []string{"Cx-Only-If", "still-with-bot, sunshine"}, "malformed"},
		{send + ".2", good, nil, "malformed"},
		{"message.shout", good, nil, "malformed"},
		{start, `{"inbox_id":1}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact_id":77}`, nil, "malformed"},
		{start, `{"inbox_id":1,"source_id":"a@example.test"}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact_id":77,"source_id":"x","contact":{"name":"A","email":"a@example.test"}}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact":{"name":"A"}}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact":{"email":"a@example.test"}}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact":{"name":"A","email":"a@example.test","age":9}}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact_id":77,"source_id":"x","priority":"high"}`, nil, "malformed"},
		{start, `{"inbox_id":1,"contact_id":77,"source_id":"x","priority":1.5}`, nil, "malformed"},
		{"conversation.handoff", `{}`, nil, "malformed"},
		{"conversation.handoff", `{"conversation_id":1,"content":"x"}`, nil, "malformed"},
		{"conversation.finish", `{"conversation_id":[1]}`, nil, "malformed"},
		{contact, `{"inbox_id":1,"name":"A"}`, nil, "malformed"},
		{contact, `{"name":"A","email":"a@example.test"}`, nil, "malformed"},
		{contact, `{"inbox_id":1,"email":"a@example.test"}`, nil, "malformed"},
	}
	for i, c := range cases {
		headers := append([]string{"X-Own", "kept as it was", "Nats-TTL", "1h", "content-type", "text/odd"}, c.headers...)
		b.command(c.subject, fmt.Sprintf("bad-%d", i), c.body, headers...)
	}
	for i, c := range cases {
		name, kind := fmt.Sprintf("bad-%d", i), strings.Join(strings.Split(c.subject, ".")[:2], ".")
		r := b.wait(kind, name)
		if r.Status != "invalid" || r.Reason != c.reason || r.Detail == "" || r.Attempts != 0 || r.HTTPStatus != 0 {
			t.Errorf("%s %s %v: %+v", c.subject, c.body, c.headers, r)
		}
		m := b.letter(name)
		want := map[string]string{
			"Cx-Command-Id": name, "Cx-Status": "invalid", "Cx-Reason": c.reason, "Cx-Detail": r.Detail, "Cx-Attempts": "0", "Cx-History": "[]",
			"Cx-Original-Subject": "cx.cmd." + c.subject, "X-Own": "kept as it was", "content-type": "text/odd", "Nats-TTL": "",
		}
		for j := 0; j+1 < len(c.headers); j += 2 {
			want[c.headers[j]] = c.headers[j+1]
		}
		for header, value := range want {
			if got := m.Header.Get(header); got != strings.TrimSpace(value) {
				t.Errorf("dead letter of %s %s: %s is %q; want %q", c.subject, c.body, header, got, value)
			}
		}
		if id := m.Header.Get("Nats-Msg-Id"); m.Subject != "cx.dead.cmd."+kind || string(m.Data) != c.body || id == "" || id == name {
			t.Errorf("dead letter of %s: %s, id %q, %q", name, m.Subject, id, m.Data)
		}
		if _, err := time.Parse(time.RFC3339, m.Header.Get("Cx-Failed-At")); err != nil {
			t.Errorf("dead letter of %s: %v", name, err)
		}
	}
	if calls := w.sim.Journal(); len(calls) != 0 {
		t.Errorf("the API was called: %+v", calls)
	}
	b.letters(len(cases))
	b.oneResultEach(len(cases))
}

func TestACommandMayNameItsConversationInTheSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	w.conversation("ann")
	b.command("message.send.1", "keyed", `{"conversation_id":"1","content":"hi"}`)
	b.said("keyed", "done", "")
	w.wantMessages(1, "hi")
}

func TestRequestsToTheServiceAreAnsweredWithTheResult(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	ask := func(kind, commandID, body string) *nats.Msg {
		t.Helper()
		m := nats.NewMsg("cx.rpc." + kind)
		m.Data = []byte(body)
		if commandID != "" {
			m.Header.Set("Nats-Msg-Id", commandID)
		}
		a, err := b.conn.RequestMsg(m, patience)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	body := fmt.Sprintf(`{"conversation_id":%d,"content":"hi"}`, id)
	for range 2 { // the same command id: carried out once, answered twice
		a := ask("message.send", "asked", body)
		stored := b.said("asked", "done", "")
		var got result
		if err := json.Unmarshal(a.Data, &got); err != nil || !reflect.DeepEqual(got, stored) || a.Header.Get("Nats-Service-Error") != "" {
			t.Errorf("answer %s %v; want %+v", a.Data, a.Header, stored)
		}
	}
	w.wantMessages(id, "hi")
	for i, c := range []struct{ kind, body, status string }{
		{"message.send", `{"conversation_id":1}`, "invalid"},
		{"message.send", `{"conversation_id":4711,"content":"x"}`, "refused"},
		{"conversation.handoff", `{"conversation_id":1}`, "done"},
		{"conversation.finish", `{"conversation_id":1}`, "done"},
		{"contact.create", `{"inbox_id":1,"name":"Bo","email":"bo@example.test"}`, "done"},
		{"conversation.start", `{"inbox_id":1,"contact":{"name":"Di","email":"di@example.test"}}`, "done"},
	} {
		var got result
		if a := ask(c.kind, "", c.body); json.Unmarshal(a.Data, &got) != nil || got.Status != c.status || got.Command != c.kind || got.CommandID == "" {
			t.Errorf("%d, %s: %s %v", i, c.kind, a.Data, a.Header)
		}
	}
	b.oneResultEach(7)
}
