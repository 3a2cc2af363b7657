package command

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/tidwall/gjson"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

// simulated is the platform over HTTP, whose events go to the bus.
func simulated(t *testing.T, b *bus, opt cxsim.Options) (*cxsim.Sim, *cxapi.Client) {
	t.Helper()
	opt.WebhookAttempts, opt.MessagesPerMinute = -1, -1
	sim := cxsim.New(opt)
	t.Cleanup(sim.Close)
	base, err := sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || b.webhook(r, body) != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(hook.Close)
	sim.Subscribe(hook.URL, "message_created", "conversation_created")
	transport := cxapi.NewTransport(cxapi.TransportConfig{})
	client, err := cxapi.New(base, testTenant, cxapi.WithToken(cxsim.DefaultToken), cxapi.WithTimeout(natstest.Patience),
		cxapi.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return sim, client
}

// webhook publishes an event as the webhook listener does, as far as commands need it.
func (b *bus) webhook(r *http.Request, body []byte) error {
	name := gjson.GetBytes(body, "event").String()
	h := nats.Header{subjects.HeaderEvent: {name}, subjects.HeaderMsgID: {name + gjson.GetBytes(body, "id").String()}}
	if name == subjects.EventMessageCreated {
		h.Set(subjects.HeaderMessageID, gjson.GetBytes(body, "id").String())
		h.Set(subjects.HeaderMessageType, gjson.GetBytes(body, "message_type").String())
		h.Set(subjects.HeaderConversationID, gjson.GetBytes(body, "conversation.id").String())
	} else {
		h.Set(subjects.HeaderConversationID, gjson.GetBytes(body, "id").String())
		h.Set(subjects.HeaderInboxID, gjson.GetBytes(body, "inbox_id").String())
	}
	_, err := b.js.PublishMsg(r.Context(), &nats.Msg{Subject: b.names.Event(name), Data: body, Header: h})
	return err
}

// TestAStormOfFailuresAtThePlatform goes over HTTP: statuses, cut connections, lost answers. All is done, once, in order.
func TestAStormOfFailuresAtThePlatform(t *testing.T) {
	t.Parallel()
	const conversations, each = 20, 10
	b := newBus(t)
	sim, client := simulated(t, b, cxsim.Options{Seed: 7})
	for n := range conversations {
		if _, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: fmt.Sprintf("ann%d@example.test", n)}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []cxsim.Fault{
		{Effect: cxsim.EffectStatus, Status: 503, Probability: 0.05},
		{Effect: cxsim.EffectStatus, Status: 429, Probability: 0.05},
		{Effect: cxsim.EffectLost, Status: 500, Probability: 0.05},
		{Effect: cxsim.EffectClose, Probability: 0.05},
		{Effect: cxsim.EffectReset, Probability: 0.05},
	} {
		f.Op = cxsim.OpSendMessage
		sim.Fault(f)
	}
	run(t, newRunner(t, b, client, testConfig()), 1)
	for n := range each {
		for c := range conversations {
			b.send(t, fmt.Sprintf("%d-%d", c, n), c+1, fmt.Sprintf("text %d", n))
		}
	}
	for n := range each {
		for c := range conversations {
			if r := b.result(t, subjects.MessageSend, fmt.Sprintf("%d-%d", c, n)); r.Status != subjects.StatusDone || r.MessageID.IsZero() {
				t.Errorf("%+v", r)
			}
		}
	}
	for c := range conversations {
		var got []string
		for _, m := range sim.Messages(int64(c + 1)) {
			got = append(got, m.Content)
		}
		var want []string
		for n := range each {
			want = append(want, fmt.Sprintf("text %d", n))
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("conversation %d: %q", c+1, got)
		}
	}
}

func TestAllFiveCommandsAtThePlatform(t *testing.T) {
	b := newBus(t)
	sim, client := simulated(t, b, cxsim.Options{})
	run(t, newRunner(t, b, client, testConfig()), 1)
	inbox := sim.InboxID(cxsim.ChannelAPI)
	b.command(t, subjects.ContactCreate, "c", fmt.Sprintf(`{"inbox_id":%d,"name":"Bo","email":"bo@example.test"}`, inbox))
	if r := b.result(t, subjects.ContactCreate, "c"); r.Status != subjects.StatusDone || r.ContactID.IsZero() {
		t.Errorf("%+v", r)
	}
	b.command(t, subjects.ConversationStart, "s", fmt.Sprintf(`{"inbox_id":%d,"contact":{"name":"Bo","email":"Bo@example.test"},"initial_message":"hi"}`, inbox))
	s := b.result(t, subjects.ConversationStart, "s")
	if s.Status != subjects.StatusDone || s.ConversationID.IsZero() || s.ContactID != b.result(t, subjects.ContactCreate, "c").ContactID {
		t.Errorf("%+v", s)
	}
	id := s.ConversationID
	b.command(t, subjects.MessageSend, "m", fmt.Sprintf(`{"conversation_id":%s,"content":"hello","message_type":"incoming"}`, id))
	b.command(t, subjects.ConversationHandoff, "h", fmt.Sprintf(`{"conversation_id":%s}`, id))
	b.command(t, subjects.ConversationFinish, "f", fmt.Sprintf(`{"conversation_id":%s}`, id))
	for kind, command := range map[subjects.Kind]string{subjects.MessageSend: "m", subjects.ConversationHandoff: "h", subjects.ConversationFinish: "f"} {
		if r := b.result(t, kind, command); r.Status != subjects.StatusDone || r.ConversationID.String() != id.String() || r.HTTPStatus != 200 {
			t.Errorf("%s: %+v", kind, r)
		}
	}
	if all := sim.Conversations(); len(all) != 1 || all[0].Status != "resolved" {
		t.Errorf("%+v", all)
	}
}
