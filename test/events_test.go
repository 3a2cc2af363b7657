package test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// token is the last token of a result's subject, by the words of the contract.
func token(id string) string {
	if regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "~" + base64.RawURLEncoding.EncodeToString(sum[:])
}

// A customer's message in the documented layout, with white space, an escape and a number that a parser would change.
const customerMessage = "{ \"event\":\"message_created\",\t\"id\":31337,\"content\":\"caf\\u00e9 \u2615 <b>\",\"content_type\":\"text\"," +
	`"content_attributes":{},"additional_attributes":{"x":1.0e2},"message_type":"incoming","private":false,"source_id":null,` +
	`"created_at":"2026-11-20T08:15:00.000Z","account":{"id":9,"name":"acme"},"inbox":{"id":4,"name":"Shop"},` +
	`"sender":{"id":501,"name":"Cleo","email":"cleo@example.test","phone_number":null,"account":{"id":9,"name":"acme"}},` +
	`"conversation":{"id":73,"inbox_id":4,"status":"pending","channel":"Channel::Api","contact_inbox":{"contact_id":501,"source_id":"cleo@example.test"},` +
	`"meta":{"sender":{"id":501,"name":"Cleo","type":"contact"},"assignee":null},` +
	`"messages":[{"id":31337,"content":"caf\u00e9","message_type":0,"conversation_id":73,"created_at":1795248900}],"unread_count":1}}` + "\n"

func TestAWebhookEventIsOnTheBusByteForByteWithEveryHeader(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.NATS.Embedded.Sync = "always" })
	r := w.start()
	b := r.bot()
	live := b.listen("cx.message.created")
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	a := request(t, http.MethodPost, r.url(pathToken), strings.NewReader(customerMessage), "traceparent", trace, "tracestate", "k=v", "Nats-Rollup", "all")
	if a.status != http.StatusOK || strings.TrimSpace(a.body) != "{}" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	m, err := live.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	if kept := b.events(1)[0]; m.Subject != "cx.message.created" || string(m.Data) != customerMessage || string(kept.Data) != customerMessage {
		t.Errorf("%s: %s\nstored: %s", m.Subject, m.Data, kept.Data)
	}
	id, at := m.Header.Get("Nats-Msg-Id"), m.Header.Get("ce-time")
	for _, part := range []string{tenant, "message_created", "31337"} {
		if !strings.Contains(id, part) {
			t.Errorf("Nats-Msg-Id %q does not tell %q", id, part)
		}
	}
	want := nats.Header{
		"Nats-Msg-Id": {id}, "ce-specversion": {"1.0"}, "ce-id": {id}, "ce-source": {"//" + tenant}, "ce-type": {"com.sangoma.cx.message_created"},
		"ce-time": {at}, "ce-subject": {"conversation/73"}, "content-type": {"application/json"}, "Cx-Event": {"message_created"}, "Cx-Tenant": {tenant},
		"Cx-Conversation-Id": {"73"}, "Cx-Inbox-Id": {"4"}, "Cx-Message-Id": {"31337"}, "Cx-Message-Type": {"incoming"}, "Cx-Private": {"false"},
		"Cx-Origin": {"customer"}, "Cx-Received-At": {at}, "traceparent": {trace}, "tracestate": {"k=v"},
	}
	for name := range want {
		if !slices.Equal(m.Header[name], want[name]) {
			t.Errorf("%s is %q; want %q", name, m.Header[name], want[name])
		}
	}
	for name, values := range m.Header {
		if want[name] == nil && !strings.HasPrefix(name, "Nats-Expected-") { // what the bridge asks of the server
			t.Errorf("%s: %q is no header of the contract", name, values)
		}
	}
}

func TestEveryEventHasItsSubject(t *testing.T) {
	t.Parallel()
	r := newWorld(t, cxsim.Options{}).start()
	b := r.bot()
	cases := []struct{ name, subject string }{
		{"conversation_created", "cx.conversation.created"},
		{"conversation_status_changed", "cx.conversation.status_changed"},
		{"webwidget_triggered", "cx.webwidget.triggered"},
		{"weather_got_2_warm", "cx.weather.got_2_warm"},
		{strings.Repeat("a", 49) + "_" + strings.Repeat("b", 50), "cx." + strings.Repeat("a", 49) + "." + strings.Repeat("b", 50)},
		{strings.Repeat("a", 49) + "_" + strings.Repeat("b", 51), "cx.event.unknown"},
		{"single", "cx.event.unknown"},
		{"Message_Created", "cx.event.unknown"},
		{"message created", "cx.event.unknown"},
		{"message_created.>", "cx.event.unknown"},
		{"caf\u00e9_opened", "cx.event.unknown"},
		{"cmd_send", "cx.event.unknown"},
		{"result_message", "cx.event.unknown"},
		{"dead_letter", "cx.event.unknown"},
		{"rpc_call", "cx.event.unknown"},
		{"schedule_cmd", "cx.event.unknown"},
		{"event_unknown", "cx.event.unknown"},
	}
	for i, c := range cases {
		r.post(pathToken, fmt.Sprintf(`{"event":%q,"id":%d,"inbox_id":4,"status":"open","meta":{}}`, c.name, i+1))
	}
	for i, m := range b.events(len(cases)) {
		if m.Subject != cases[i].subject {
			t.Errorf("%s went to %s; want %s", cases[i].name, m.Subject, cases[i].subject)
		}
		if name := m.Header.Get("Cx-Event"); m.Subject != "cx.event.unknown" && name != cases[i].name {
			t.Errorf("%s: Cx-Event is %q", cases[i].name, name)
		}
		if m.Header.Get("Nats-Msg-Id") == "" || m.Header.Get("ce-id") == "" || m.Header.Get("Cx-Tenant") != tenant {
			t.Errorf("%s: %v", cases[i].name, m.Header)
		}
	}
	first := b.stored("CX_EVENTS")[0]
	if first.Header.Get("Cx-Conversation-Id") != "1" || first.Header.Get("Cx-Inbox-Id") != "4" || first.Header.Get("Cx-Message-Id") != "" || first.Header.Get("Cx-Origin") != "" {
		t.Errorf("conversation_created: %v", first.Header)
	}
}

func TestTheSameEventAgainIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	bodies := []string{
		customerMessage,
		`{"event":"conversation_created","id":73,"inbox_id":4,"messages":[]}`,
		`{"event":"conversation_updated","id":73,"labels":["a"],"unread_count":1}`,
		`{"event":"something_odd","text":"no id at all"}`,
	}
	again := []string{
		strings.Replace(customerMessage, `"unread_count":1`, `"unread_count":2`, 1),
		`{"event":"conversation_created","id":73,"inbox_id":4,"messages":[{"id":1}]}`,
		` { "unread_count": 2, "labels": ["a"], "id": 73, "event": "conversation_updated" }`,
		bodies[3],
	}
	for _, body := range slices.Concat(bodies, bodies) {
		r.post(pathToken, body)
	}
	for _, body := range again {
		r.post(otherToken, body)
	}
	r.bot().events(len(bodies))
	r.stop()
	next := w.start()
	for _, body := range bodies {
		next.post(otherToken, body)
	}
	next.post(pathToken, `{"event":"conversation_updated","id":73,"labels":["a","b"],"unread_count":1}`) // not the same
	b := next.bot()
	for i, m := range b.events(len(bodies) + 1)[:len(bodies)] {
		if string(m.Data) != bodies[i] {
			t.Errorf("event %d is %s; want the one that came first", i, m.Data)
		}
	}
}

func TestAWrongTokenIsAnswered401AndStoresNothing(t *testing.T) {
	t.Parallel()
	r := newWorld(t, cxsim.Options{}, func(c *bridge.Config) {
		c.Webhook.SignatureMode, c.Webhook.SignatureSecrets = "enforce", []string{"signing-secret-0123456789"}
	}).start()
	b := r.bot()
	for name, a := range map[string]answer{
		"a wrong token":       request(t, http.MethodPost, r.url("wrong"), strings.NewReader(customerMessage)),
		"a longer token":      request(t, http.MethodPost, r.url(pathToken+"x"), strings.NewReader(customerMessage)),
		"no token":            request(t, http.MethodPost, r.url(""), strings.NewReader(customerMessage)),
		"no token, malformed": request(t, http.MethodPost, r.url("wrong"), strings.NewReader("{")),
		"no signature":        request(t, http.MethodPost, r.url(pathToken), strings.NewReader(customerMessage)),
		"a wrong signature": request(t, http.MethodPost, r.url(pathToken), strings.NewReader(customerMessage),
			"X-Chatwoot-Timestamp", "1700000000", "X-Chatwoot-Signature", "sha256="+strings.Repeat("0", 64)),
	} {
		if a.status != http.StatusUnauthorized || !isProblem(a) {
			t.Errorf("%s: %d %v %s", name, a.status, a.header, a.body)
		}
	}
	if events, dead := b.count("CX_EVENTS"), b.count("CX_DEAD"); events+dead != 0 {
		t.Errorf("%d events and %d dead letters are stored", events, dead)
	}
}

// isProblem reports whether an answer is a problem of RFC 9457 that tells nothing of the inside.
func isProblem(a answer) bool {
	inside := regexp.MustCompile(`(?i)nats|jetstream|goroutine|\.go|stack|127\.0\.0\.1|stream`)
	return a.header.Get("Content-Type") == "application/problem+json" && strings.Contains(a.body, fmt.Sprintf(`"status":%d`, a.status)) &&
		!inside.MatchString(a.body)
}

func TestWhatIsNoEventIsAnsweredAsThePublicListenerPromises(t *testing.T) {
	t.Parallel()
	r := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Webhook.MaxBodyBytes = 2000 }).start()
	b := r.bot()
	root, large := strings.TrimSuffix(r.url(""), "webhooks/"), `{"event":"message_created","content":"`+strings.Repeat("x", 2000)+`"}`
	for _, c := range []struct {
		name, method, url, body string
		chunked                 bool
		status                  int
	}{
		{"another path", http.MethodPost, root + "hooks/" + pathToken, customerMessage, false, 404},
		{"a longer path", http.MethodPost, r.url(pathToken) + "/more", customerMessage, false, 404},
		{"the root", http.MethodGet, root, "", false, 404},
		{"GET", http.MethodGet, r.url(pathToken), "", false, 405},
		{"PUT", http.MethodPut, r.url(pathToken), customerMessage, false, 405},
		{"too large", http.MethodPost, r.url(pathToken), large, false, 413},
		{"too large, of unknown length", http.MethodPost, r.url(pathToken), large, true, 413},
		{"not JSON", http.MethodPost, r.url(pathToken), `{"event":"message_created"`, false, 400},
		{"not an object", http.MethodPost, r.url(pathToken), `[{"event":"message_created"}]`, false, 400},
		{"no event name", http.MethodPost, r.url(pathToken), `{"id":1}`, false, 400},
		{"an event that is no text", http.MethodPost, r.url(pathToken), `{"event":{"a":1}}`, false, 400},
		{"nothing", http.MethodPost, r.url(pathToken), ``, false, 400},
	} {
		var body io.Reader = strings.NewReader(c.body)
		if c.chunked {
			body = io.MultiReader(body) // the client cannot tell its length
		}
		a := request(t, c.method, c.url, body, "X-Own", "seen")
		if a.status != c.status || !isProblem(a) {
			t.Errorf("%s: %d %v %s; want %d", c.name, a.status, a.header, a.body, c.status)
		}
		if c.status == 405 && a.header.Get("Allow") != http.MethodPost {
			t.Errorf("%s: Allow is %q", c.name, a.header.Get("Allow"))
		}
	}
	if n := b.count("CX_EVENTS"); n != 0 {
		t.Errorf("%d events are stored", n)
	}
	kept := b.stored("CX_DEAD")
	for i, body := range []string{`{"event":"message_created"`, `[{"event":"message_created"}]`, `{"id":1}`, `{"event":{"a":1}}`} {
		if i >= len(kept) {
			t.Fatalf("%d dead letters", len(kept))
		}
		if m := kept[i]; m.Subject != "cx.dead.webhook.malformed" || string(m.Data) != body || m.Header.Get("Cx-Reason") != "malformed" ||
			m.Header.Get("Cx-Detail") == "" || m.Header.Get("Cx-Failed-At") == "" || m.Header.Get("Nats-Msg-Id") == "" {
			t.Errorf("dead letter %d: %s %v %s", i, m.Subject, m.Header, m.Data)
		}
	}
}

func TestAConversationIsOnTheBusInItsOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	ids := []int64{w.conversation("ann"), w.conversation("bea"), w.conversation("cat")}
	for n := range 20 {
		for _, id := range ids {
			if _, err := w.sim.CustomerSays(id, fmt.Sprintf("line %d", n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	w.delivered()
	sent, got := map[string][]string{}, map[string][]string{}
	n := 0
	for _, d := range w.sim.Deliveries() {
		if d.OK() && d.ConversationID != 0 {
			sent[fmt.Sprint(d.ConversationID)] = append(sent[fmt.Sprint(d.ConversationID)], d.Body)
		}
		n++
	}
	for _, m := range b.events(n) {
		got[m.Header.Get("Cx-Conversation-Id")] = append(got[m.Header.Get("Cx-Conversation-Id")], string(m.Data))
	}
	for _, id := range ids {
		key := fmt.Sprint(id)
		// The widget's own event stands at the beginning of a conversation that has no id yet.
		if want := slices.DeleteFunc(sent[key], func(body string) bool { return strings.Contains(body, "webwidget_triggered") }); len(want) < 21 || !slices.Equal(got[key], want) {
			t.Errorf("conversation %s: %d events, not as the %d that were sent", key, len(got[key]), len(want))
		}
	}
}

func TestEventsTellWhoWrote(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	for _, say := range []func() error{
		func() error { _, err := w.sim.CustomerSays(id, "a"); return err },
		func() error { _, err := w.sim.SystemSays(id, "b"); return err },
		func() error { _, err := w.sim.AgentNotes(id, "c"); return err },
		func() error { _, err := w.sim.AgentSays(id, "d"); return err },
	} {
		if err := say(); err != nil {
			t.Fatal(err)
		}
	}
	b.say("own", id, "e")
	own := b.said("own", "done", "")
	b.command("message.send", "for-customer", fmt.Sprintf(`{"conversation_id":%d,"content":"f","message_type":"incoming"}`, id))
	b.said("for-customer", "done", "")
	w.delivered()
	got := map[string]string{}
	for _, m := range b.stored("CX_EVENTS") {
		if m.Subject == "cx.message.created" {
			content := regexp.MustCompile(`"content":"(.)"`).FindStringSubmatch(string(m.Data))[1]
			got[content] = strings.Join([]string{m.Header.Get("Cx-Origin"), m.Header.Get("Cx-Message-Type"), m.Header.Get("Cx-Private")}, " ")
		}
	}
	for content, want := range map[string]string{
		"a": "customer incoming false", "b": "system template false", "c": "agent outgoing true", "d": "agent outgoing false",
		"e": "bot outgoing false", "f": "customer incoming false",
	} {
		if got[content] != want {
			t.Errorf("message %s: %q; want %q", content, got[content], want)
		}
	}
	// What a command caused is told as soon as it is known, also on later events of the message.
	n := 0
	natstest.Eventually(t, "an event that names the command that caused it", func() bool {
		n++
		if err := w.sim.EditMessage(id, number(t, own.MessageID), fmt.Sprintf("e%d", n)); err != nil {
			t.Fatal(err)
		}
		w.delivered()
		last := b.stored("CX_EVENTS")
		m := last[len(last)-1]
		return m.Subject == "cx.message.updated" && m.Header.Get("Cx-Echo-Of") == "own"
	})
}

func TestNoEventIsLostWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}).external()
	r := w.start()
	const each = 15
	event := func(n int) string {
		return strings.Replace(customerMessage, `"id":31337,"content":"`, fmt.Sprintf(`"id":%d,"content":"%d `, 31337+n, n), 1)
	}
	for n := range 3 * each {
		switch n {
		case each:
			w.bus.Stop()
		case 2 * each:
			w.bus.Restart(t)
		}
		r.post(pathToken, event(n))
	}
	for n, m := range newBot(t, w.bus.URL).events(3 * each) {
		if string(m.Data) != event(n) {
			t.Errorf("event %d: %s", n, m.Data)
		}
	}
}
