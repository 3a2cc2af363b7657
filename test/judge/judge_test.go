package judge_test

import (
	"encoding/json"
	"maps"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
	"github.com/cxbridge/cxbridge/test/judge"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func newJudge(t *testing.T) *judge.Judge {
	t.Helper()
	j, err := judge.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// example is an example of the AsyncAPI document, on a subject that it may have.
type example struct {
	subject string
	header  nats.Header
	body    []byte
}

func examples(t *testing.T) map[string]example {
	t.Helper()
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := asyncapi.Document(names, subjects.StreamSettings{}, asyncapi.Version)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Messages map[string]struct {
				Examples []struct {
					Headers map[string]string
					Payload json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	all := map[string]example{}
	for name, m := range document.Components.Messages {
		e := example{header: nats.Header{}, body: m.Examples[0].Payload}
		for header, value := range m.Examples[0].Headers {
			e.header.Set(header, value)
		}
		switch first, rest, _ := strings.Cut(name, "."); {
		case first == "event":
			e.subject = names.Event(e.header.Get(subjects.HeaderEvent))
		case first == "command":
			e.subject = names.Command(subjects.Kind(rest))
		case first == "result":
			e.subject = names.Result(subjects.MessageSend, e.header.Get(subjects.HeaderCommandID))
		case name == "dead.command":
			e.subject = names.DeadCommand(subjects.MessageSend)
		case name == "dead.webhook":
			e.subject = names.DeadWebhook()
		default:
			continue
		}
		all[name] = e
	}
	return all
}

func (e example) judge(j *judge.Judge) error {
	switch strings.Split(e.subject, ".")[1] {
	case "cmd":
		return j.Command(subjects.Kind(strings.TrimPrefix(e.subject, "cx.cmd.")), e.header, e.body)
	case "result":
		return j.Result(e.subject, e.header, e.body)
	case "dead":
		return j.Letter(e.subject, e.header)
	}
	return j.Event(e.subject, e.header, e.body)
}

// TestEachRuleIsHeld spoils each example in every way that its headers allow.
func TestEachRuleIsHeld(t *testing.T) {
	j, all := newJudge(t), examples(t)
	if len(all) < 15 {
		t.Fatalf("only %d examples", len(all))
	}
	for name, e := range all {
		if err := e.judge(j); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasPrefix(name, "command.") {
			continue // nothing has to be there but the body
		}
		for header := range e.header {
			if !always(e, header) {
				continue
			}
			spoilt := e
			spoilt.header = maps.Clone(e.header)
			delete(spoilt.header, header)
			if spoilt.judge(j) == nil {
				t.Errorf("%s without %s is accepted", name, header)
			}
		}
	}
}

// always reports whether every message on a subject must have a header.
func always(e example, header string) bool {
	carrier := map[string]subjects.Carrier{"result": subjects.OnResults, "dead": subjects.OnDeadCommands}[strings.Split(e.subject, ".")[1]]
	if carrier == "" {
		carrier = subjects.OnEvents
	}
	if strings.HasSuffix(e.subject, ".malformed") {
		carrier = subjects.OnDeadWebhooks
	}
	for _, h := range subjects.HeadersOn(carrier) {
		if h.Name == header {
			return h.Always
		}
	}
	return false
}

func TestWhatTheContractDoesNotAllowIsToldByItsRule(t *testing.T) {
	j, all := newJudge(t), examples(t)
	for _, c := range []struct {
		example, header, value, old, new, rule string
	}{
		{example: "event.message_created", header: "Cx-Mood", value: "x", rule: "header Cx-Mood"},
		{example: "event.message_created", header: "Cx-Origin", value: "ghost", rule: "Cx-Origin"},
		{example: "event.message_created", header: "Cx-Received-At", value: "today", rule: "Cx-Received-At"},
		{example: "event.message_created", header: "Cx-Event", value: "message_updated", rule: "belongs on cx.message.updated"},
		{example: "event.message_created", old: `"id": 9001`, new: `"id": true`, rule: "/id"},
		{example: "event.conversation_created", old: `"messages": []`, new: `"messages": 1`, rule: "/messages"},
		{example: "event.contact", old: `{`, new: ``, rule: "body"},
		{example: "command.message.send", old: `"content"`, new: `"contents"`, rule: "contents"},
		{example: "command.message.send", header: "Cx-Expires-At", value: "soon", rule: "Cx-Expires-At"},
		{example: "result", old: `"done"`, new: `"perfect"`, rule: "/status"},
		{example: "result", old: `"status"`, new: `"state"`, rule: "status"},
		{example: "result", old: `"bot1-9001"`, new: `"bot1-9002"`, rule: "do not agree"},
		{example: "result", old: `"reason": ""`, new: `"reason": "timeout"`, rule: "status done"},
		{example: "result", header: "Cx-Status", value: "refused", rule: "do not agree"},
		{example: "dead.command", header: "Cx-Status", value: "done", rule: "Cx-Status"},
		{example: "dead.command", header: "Cx-History", value: `[{"time":1}]`, rule: "Cx-History"},
		{example: "dead.command", header: "Cx-Attempts", value: "many", rule: "Cx-Attempts"},
		{example: "dead.webhook", header: "Cx-Reason", value: "boring", rule: "Cx-Reason"},
		{example: "dead.webhook", header: "Cx-Command-Id", value: "x", rule: "Cx-Command-Id"},
	} {
		e := all[c.example]
		e.header = maps.Clone(e.header)
		if c.header != "" {
			e.header[c.header] = []string{c.value}
		}
		var compact map[string]any
		if json.Unmarshal(e.body, &compact) == nil {
			e.body, _ = json.MarshalIndent(compact, "", " ") // it was read from JSON
		}
		if c.old != "" && !strings.Contains(string(e.body), c.old) {
			t.Fatalf("%s has no %s: %s", c.example, c.old, e.body)
		}
		e.body = []byte(strings.Replace(string(e.body), c.old, c.new, 1))
		if err := e.judge(j); err == nil || !strings.Contains(err.Error(), c.rule) {
			t.Errorf("%s with %s%s: %v", c.example, c.header, c.new, err)
		}
	}
}

// TestABusIsJudged puts good and bad messages on a bus.
func TestABusIsJudged(t *testing.T) {
	server := natstest.Start(t)
	js, err := jetstream.New(server.Conn(t))
	if err != nil {
		t.Fatal(err)
	}
	for stream, subject := range map[string]string{"CX_EVENTS": "cx.*.*", "CX_COMMANDS": "cx.cmd.*.>", "CX_RESULTS": "cx.result.*.>"} {
		natstest.CreateStream(t, js, jetstream.StreamConfig{Name: stream, Subjects: []string{subject}, AllowDirect: true})
	}
	all := examples(t)
	put := func(e example) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: e.subject, Header: e.header, Data: e.body}); err != nil {
			t.Fatal(err)
		}
	}
	put(all["event.message_created"])
	put(all["command.message.send"])
	put(all["result"])
	pending := example{"cx.cmd.message.send", nats.Header{"Nats-Msg-Id": {"pending"}}, []byte(`{"mood":1}`)}
	put(pending)
	j := newJudge(t)
	verdict, err := j.Bus(t.Context(), js)
	if err != nil || len(verdict.Faults) != 0 || verdict.Judged["CX_COMMANDS"] != 2 || verdict.Judged["CX_EVENTS"] != 1 || verdict.Judged["CX_DEAD"] != 0 {
		t.Fatalf("%+v, %v", verdict, err)
	}

	done := all["result"]
	done.header = maps.Clone(done.header)
	done.header["Cx-Command-Id"], done.header["Nats-Msg-Id"] = []string{"pending"}, []string{"result-pending"}
	done.subject, done.body = "cx.result.message.send.pending", []byte(strings.Replace(string(done.body), "bot1-9001", "pending", 1))
	put(done)
	invalid := example{"cx.cmd.message.shout", nats.Header{}, []byte(`{}`)} // without an id
	put(invalid)
	bad := all["event.contact"]
	bad.header = maps.Clone(bad.header)
	delete(bad.header, "ce-id")
	put(bad)
	verdict, err = j.Bus(t.Context(), js)
	if err != nil || len(verdict.Faults) != 3 {
		t.Fatalf("%+v, %v", verdict, err)
	}
	told := ""
	for _, fault := range verdict.Faults {
		told += fault.Error() + "\n"
	}
	for _, want := range []string{
		"cx.cmd.message.send, sequence 2 of CX_COMMANDS: the command is not allowed, and yet ended as done",
		"cx.cmd.message.shout, sequence 3 of CX_COMMANDS: the command is not allowed, and yet has no dead letter",
		"cx.contact.created, sequence 2 of CX_EVENTS: headers",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("want %q in %s", want, told)
		}
	}
}

// TestALongStreamIsJudgedEvenly has more messages than are judged.
func TestALongStreamIsJudgedEvenly(t *testing.T) {
	server := natstest.Start(t)
	conn := server.Conn(t)
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "CX_EVENTS", Subjects: []string{"cx.*.*"}, AllowDirect: true, Storage: jetstream.MemoryStorage})
	const all = 2*judge.Most + 1
	for range all {
		if err := conn.Publish("cx.a.b", nil); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "the messages to be stored", func() bool {
		s, err := js.Stream(t.Context(), "CX_EVENTS")
		return err == nil && s.CachedInfo().State.Msgs == all
	})
	verdict, err := newJudge(t).Bus(t.Context(), js)
	if n := verdict.Judged["CX_EVENTS"]; err != nil || n < judge.Most/2 || n > judge.Most || len(verdict.Faults) != n {
		t.Errorf("%d judged, %d faults, %v", n, len(verdict.Faults), err)
	}
}
