package bridge_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// asks sends a request to the micro service and decodes its answer.
func asks(t *testing.T, conn *nats.Conn, endpoint, request string, answer any) {
	t.Helper()
	m, err := conn.Request("cx.rpc."+endpoint, []byte(request), natstest.Patience)
	if err != nil {
		t.Fatalf("%s: %v", endpoint, err)
	}
	if failed := m.Header.Get("Nats-Service-Error"); failed != "" {
		t.Fatalf("%s %s: %s", endpoint, request, failed)
	}
	if err := json.Unmarshal(m.Data, answer); err != nil {
		t.Fatalf("%s: %v in %s", endpoint, err, m.Data)
	}
}

// refuses sends a request that is refused, and returns why.
func refuses(t *testing.T, conn *nats.Conn, endpoint, request string) string {
	t.Helper()
	m, err := conn.Request("cx.rpc."+endpoint, []byte(request), natstest.Patience)
	if err != nil {
		t.Fatalf("%s: %v", endpoint, err)
	}
	why := m.Header.Get("Nats-Service-Error")
	if why == "" {
		t.Errorf("%s %s was answered: %s", endpoint, request, m.Data)
	}
	return why
}

// account is the part of the answer to bridge.explain that tests look at.
type account struct {
	Commands []struct{ State string }
	Entries  []struct{ What string }
	Remarks  []string
}

func (a account) whats() string {
	var all []string
	for _, e := range a.Entries {
		all = append(all, e.What)
	}
	return strings.Join(all, " ")
}

func TestCommandsStayPausedOverARestart(t *testing.T) {
	sim, cfg := simulate(t)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	first := start(t, cfg).waitReady()
	conn := connect(t, first.NATSURL()).Conn()
	var state struct{ Paused, Changed bool }
	if asks(t, conn, "bridge.pause", `{"by":"ann","reason":"tests"}`, &state); !state.Paused || !state.Changed {
		t.Errorf("bridge.pause = %+v", state)
	}
	if asks(t, conn, "bridge.pause", ``, &state); !state.Paused || state.Changed {
		t.Errorf("bridge.pause again = %+v", state)
	}
	first.stop()

	second := start(t, cfg).waitReady()
	js := connect(t, second.NATSURL())
	conn = js.Conn()
	natstest.Eventually(t, "readyz to tell of the pause", func() bool {
		status, text := second.get("/readyz")
		return status == 200 && strings.Contains(text, "commands are paused since") && strings.Contains(text, "ann") && strings.Contains(text, "tests")
	})
	command := &nats.Msg{
		Subject: "cx.cmd.message.send", Header: nats.Header{"Nats-Msg-Id": {"c1"}}, Data: fmt.Appendf(nil, `{"conversation_id":%d,"content":"hello"}`, c.ID),
	}
	if _, err := js.PublishMsg(t.Context(), command); err != nil {
		t.Fatal(err)
	}
	var told account
	asks(t, conn, "bridge.explain", `{"id":"c1"}`, &told)
	if len(told.Commands) != 1 || told.Commands[0].State != "waiting" || told.whats() != "published" || len(told.Remarks) != 1 {
		t.Errorf("while paused, bridge.explain = %+v", told)
	}
	if asks(t, conn, "bridge.resume", `{}`, &state); state.Paused || !state.Changed {
		t.Errorf("bridge.resume = %+v", state)
	}
	natstest.Eventually(t, "the result", func() bool { return stored(t, js, "CX_RESULTS") == 1 })
	asks(t, conn, "bridge.explain", `{"id":"c1"}`, &told)
	if told.Commands[0].State != "done" || !strings.HasPrefix(told.whats(), "published claimed") || !strings.Contains(told.whats(), "result") {
		t.Errorf("after the end, bridge.explain = %+v", told)
	}
	natstest.Eventually(t, "readyz to tell of no pause", func() bool {
		_, text := second.get("/readyz")
		return !strings.Contains(text, "paused")
	})
}

func TestDeadLettersByRequest(t *testing.T) {
	_, cfg := simulate(t)
	js := connect(t, start(t, cfg).waitReady().NATSURL())
	for _, id := range []string{"c1", "c2"} {
		m := &nats.Msg{Subject: "cx.cmd.message.send", Header: nats.Header{"Nats-Msg-Id": {id}}, Data: []byte(`{"secret":1}`)}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	natstest.Eventually(t, "the letters", func() bool { return stored(t, js, "CX_DEAD") == 2 })
	var page struct {
		Letters []struct {
			Sequence  uint64 `json:"sequence"`
			CommandID string `json:"command_id"`
			Reason    string `json:"reason"`
		}
		Next uint64
	}
	asks(t, js.Conn(), "bridge.dead.list", `{"limit":1,"statuses":["invalid"],"newer_than":"24h"}`, &page)
	if len(page.Letters) != 1 || page.Next == 0 || page.Letters[0].Reason != "malformed" {
		t.Fatalf("bridge.dead.list = %+v", page)
	}
	var replayed struct {
		Letters []struct {
			CommandID string `json:"command_id"`
			ReplayID  string `json:"replay_id"`
			Error     string
		}
	}
	picked := page.Letters[0]
	asks(t, js.Conn(), "bridge.dead.replay", fmt.Sprintf(`{"sequences":[%d,%d,9999],"dry_run":true}`, picked.Sequence, picked.Sequence), &replayed)
	if len(replayed.Letters) != 2 || replayed.Letters[0].Error != "" || replayed.Letters[0].ReplayID != "" || replayed.Letters[1].Error == "" {
		t.Errorf("bridge.dead.replay in a dry run = %+v", replayed)
	}
	asks(t, js.Conn(), "bridge.dead.replay", fmt.Sprintf(`{"sequences":[%d]}`, picked.Sequence), &replayed)
	if len(replayed.Letters) != 1 || replayed.Letters[0].CommandID != picked.CommandID || replayed.Letters[0].ReplayID == "" {
		t.Fatalf("bridge.dead.replay = %+v", replayed)
	}
	// The new command is as malformed as the first one, and becomes a letter of its own.
	natstest.Eventually(t, "the letter of the replay", func() bool {
		asks(t, js.Conn(), "bridge.dead.list", fmt.Sprintf(`{"command_id":%q}`, replayed.Letters[0].ReplayID), &page)
		return len(page.Letters) == 1
	})
	asks(t, js.Conn(), "bridge.dead.list", fmt.Sprintf(`{"command_id":%q}`, picked.CommandID), &page)
	if len(page.Letters) != 0 {
		t.Errorf("the letter is still there: %+v", page)
	}
}

func TestRequestsAreReadStrictly(t *testing.T) {
	_, cfg := simulate(t)
	conn := connect(t, start(t, cfg).waitReady().NATSURL()).Conn()
	for _, test := range []struct{ endpoint, request, why string }{
		{"bridge.explain", ``, "id is needed"},
		{"bridge.explain", `{"id":"nobody"}`, "nothing is known"},
		{"bridge.explain", `{"ID":1}`, "request"},
		{"bridge.explain", `{"id":"x","conversation_id":1}`, "id is needed"},
		{"bridge.explain", `{"conversation_id":1,"newer_than":"-1h"}`, "newer_than"},
		{"bridge.explain", `{"conversation_id":1}`, "nothing is known"},
		{"bridge.lanes", `{"limit":0}`, "limit"},
		{"bridge.streams", `{"limit":1}`, "unknown field"},
		{"bridge.config", `[]`, "request"},
		{"bridge.dead.show", `{}`, "sequence"},
		{"bridge.dead.show", `{"sequence":9}`, "no such dead letter"},
		{"bridge.dead.drop", `{"sequences":[]}`, "sequences"},
		{"bridge.pause", `{"for":"ever"}`, "unknown field"},
		{"bridge.resume", `{} {}`, "one JSON object"},
		{"bridge.dead.list", `{"reasons":["tired"]}`, "tired"},
		{"bridge.dead.list", `{"statuses":["tired"]}`, "tired"},
		{"bridge.dead.list", `{"older_than":"soon"}`, "older_than"},
		{"bridge.dead.list", `{"limit":1000000}`, "limit"},
		{"bridge.dead.replay", `{}`, "sequences"},
	} {
		if why := refuses(t, conn, test.endpoint, test.request); !strings.Contains(why, test.why) {
			t.Errorf("%s %s is refused with %q, want %q", test.endpoint, test.request, why, test.why)
		}
	}
}

func TestADeadLetterIsShownAndDroppedByRequest(t *testing.T) {
	_, cfg := simulate(t)
	js := connect(t, start(t, cfg).waitReady().NATSURL())
	m := &nats.Msg{Subject: "cx.cmd.message.send", Header: nats.Header{"Nats-Msg-Id": {"c1"}}, Data: []byte(`{"secret":1}`)}
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the letter", func() bool { return stored(t, js, "CX_DEAD") == 1 })
	var letter struct {
		CommandID string `json:"command_id"`
		History   []any
		Body      *string
	}
	if asks(t, js.Conn(), "bridge.dead.show", `{"sequence":1}`, &letter); letter.CommandID != "c1" || letter.History == nil || letter.Body != nil {
		t.Errorf("bridge.dead.show = %+v", letter)
	}
	if asks(t, js.Conn(), "bridge.dead.show", `{"sequence":1,"body":true}`, &letter); letter.Body == nil || *letter.Body != `{"secret":1}` {
		t.Errorf("bridge.dead.show with the body = %+v", letter)
	}
	var dropped struct {
		DryRun  bool `json:"dry_run"`
		Letters []struct {
			Sequence uint64
			Error    string
		}
	}
	asks(t, js.Conn(), "bridge.dead.drop", `{"sequences":[1,2],"dry_run":true}`, &dropped)
	if !dropped.DryRun || len(dropped.Letters) != 2 || dropped.Letters[0].Error != "" || dropped.Letters[1].Error == "" {
		t.Errorf("bridge.dead.drop in a dry run = %+v", dropped)
	}
	if n := stored(t, js, "CX_DEAD"); n != 1 {
		t.Errorf("a dry run left %d letters", n)
	}
	asks(t, js.Conn(), "bridge.dead.drop", `{"sequences":[1]}`, &dropped)
	if n := stored(t, js, "CX_DEAD"); n != 0 || len(dropped.Letters) != 1 {
		t.Errorf("bridge.dead.drop = %+v, and %d letters are left", dropped, n)
	}
}

func TestTheStateOfABridgeIsToldWithoutSecrets(t *testing.T) {
	sim, cfg := simulate(t)
	sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: 503})
	b := start(t, cfg).waitReady()
	js := connect(t, b.NATSURL())
	if _, err := js.Publish(t.Context(), "cx.cmd.message.send", []byte(`{"conversation_id":42,"content":"hi"}`)); err != nil {
		t.Fatal(err)
	}
	contact := []byte(`{"inbox_id":1,"name":"Ann","email":"ann@example.test"}`)
	sim.Fault(cxsim.Fault{Op: cxsim.OpCreateContact, Effect: cxsim.EffectStatus, Status: 503})
	if _, err := js.Publish(t.Context(), "cx.cmd.contact.create", contact); err != nil {
		t.Fatal(err)
	}
	var lanes struct {
		Lanes []struct {
			Lane         string
			Conversation string `json:"conversation_id"`
			Commands     int
		}
	}
	natstest.Eventually(t, "both lanes to wait", func() bool {
		asks(t, js.Conn(), "bridge.lanes", ``, &lanes)
		return len(lanes.Lanes) == 2
	})
	for _, l := range lanes.Lanes {
		if l.Commands != 1 || l.Lane == "conversation" && l.Conversation != "42" || l.Lane == "contact" && l.Conversation != "" {
			t.Errorf("lanes = %+v", lanes)
		}
	}
	var now struct {
		Tenant, Circuit string
		Active          bool
		Holder          string   `json:"active_bridge"`
		Bridge          string   `json:"bridge"`
		Rate            *float64 `json:"calls_per_second"`
	}
	asks(t, js.Conn(), "bridge.status", ``, &now)
	if now.Tenant != cxsim.DefaultTenant || !now.Active || now.Holder != now.Bridge || now.Circuit == "" || now.Rate == nil {
		t.Errorf("bridge.status = %+v", now)
	}
	var streams struct {
		Streams []struct {
			Name, Problem string
			Messages      uint64
			Consumers     []struct{ Name string }
		}
	}
	asks(t, js.Conn(), "bridge.streams", ``, &streams)
	for _, s := range streams.Streams {
		if s.Problem != "" || s.Name == "CX_COMMANDS" && (s.Messages != 2 || len(s.Consumers) != 1) {
			t.Errorf("stream %+v", s)
		}
	}
	var config struct {
		Keys []struct {
			Key, Value string
			Secret     bool
		}
	}
	asks(t, js.Conn(), "bridge.config", ``, &config)
	values := map[string]string{}
	for _, k := range config.Keys {
		values[k.Key] = k.Value
		if strings.Contains(k.Value, cxsim.DefaultToken) || strings.Contains(k.Value, pathToken) {
			t.Errorf("%s is shown as %s", k.Key, k.Value)
		}
	}
	if values["cx.access_token"] != "set" || values["admin.token"] != "" || values["cx.tenant_domain"] != fmt.Sprintf("%q", cxsim.DefaultTenant) {
		t.Errorf("bridge.config = %v", values)
	}
}
