package test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func TestKeyedEventsNameInboxAndConversationAndStillSettleCommands(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Subjects.Keyed = true })
	r := w.start()
	b := r.bot()
	one := b.listen("cx.event.message.created.4.73")
	r.post(pathToken, customerMessage)
	r.post(pathToken, `{"event":"webwidget_triggered","id":5,"inbox":{"id":"odd inbox"}}`)
	if m, err := one.NextMsg(patience); err != nil || string(m.Data) != customerMessage {
		t.Fatalf("%v, %v", m, err)
	}
	if m := b.events(2)[1]; m.Subject != "cx.event.webwidget.triggered."+token("odd inbox")+".-" {
		t.Errorf("%s", m.Subject)
	}
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectLost, Times: 1})
	b.say("lost", id, "text")
	b.said("lost", "done", "")
	w.wantMessages(id, "text")
}

func TestAnotherPrefixNamesEverything(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Subjects.Prefix = "team-a.cx" })
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	results, events := b.listen("team-a.cx.result.message.send.x"), b.listen("team-a.cx.message.created")
	b.publish("team-a.cx.cmd.message.send", fmt.Sprintf(`{"conversation_id":%d,"content":"hi"}`, id), "Nats-Msg-Id", "x")
	m, err := results.NextMsg(patience)
	if err != nil || m.Header.Get("Cx-Status") != "done" {
		t.Errorf("%v, %v", m, err)
	}
	if _, err := events.NextMsg(patience); err != nil {
		t.Error(err)
	}
	for _, stream := range []string{"TEAM-A_CX_EVENTS", "TEAM-A_CX_COMMANDS", "TEAM-A_CX_RESULTS", "TEAM-A_CX_DEAD", "TEAM-A_CX_LEDGER", "KV_TEAM-A_CX_BRIDGE"} {
		if _, err := b.js.Stream(t.Context(), stream); err != nil {
			t.Errorf("%s: %v", stream, err)
		}
	}
}

func TestIDsThatAreTextsAreTakenAndGivenAsTexts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{IDsAsStrings: true})
	b := w.start().bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectLost, Times: 1})
	b.say("lost", id, "text")
	b.command("message.send", "plain", fmt.Sprintf(`{"conversation_id":"%d","content":"more"}`, id))
	for _, name := range []string{"lost", "plain"} {
		if r := b.said(name, "done", ""); !strings.HasPrefix(string(r.MessageID), `"`) {
			t.Errorf("%s: message_id %s", name, r.MessageID)
		}
	}
	w.wantMessages(id, "text", "more")
}

func TestAnIDAsNumberAndAsTextIsOneConversation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Contains: "text 0", Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable, Times: 5})
	var want []string
	for n := range 10 {
		form := `{"conversation_id":%d,"content":%q}`
		if n%2 == 1 {
			form = `{"conversation_id":"%d","content":%q}`
		}
		want = append(want, fmt.Sprint("text ", n))
		b.command("message.send", fmt.Sprint("id-", n), fmt.Sprintf(form, id, want[n]))
	}
	for n := range 10 {
		b.said(fmt.Sprint("id-", n), "done", "")
	}
	w.wantMessages(id, want...)
}

func TestAnswersAreUnderstoodInEveryEnvelope(t *testing.T) {
	t.Parallel()
	for _, envelope := range []cxsim.Envelope{cxsim.EnvelopeBare, cxsim.EnvelopePayload, cxsim.EnvelopeData} {
		w := newWorld(t, cxsim.Options{Envelope: envelope, CreatedStatus: http.StatusCreated})
		b := w.start().bot()
		b.command("conversation.start", "start", `{"inbox_id":1,"contact":{"name":"Di","email":"di@example.test"}}`)
		started := b.wait("conversation.start", "start")
		if started.Status != "done" || string(started.ConversationID) != "1" || number(t, started.ContactID) == 0 {
			t.Errorf("%s: %+v", envelope, started)
		}
		b.say("say", 1, "hi")
		if r := b.said("say", "done", ""); number(t, r.MessageID) == 0 || r.HTTPStatus != http.StatusCreated {
			t.Errorf("%s: %+v", envelope, r)
		}
	}
}

func TestANewPlatformSignsAndChangesTextsAndIsUnderstood(t *testing.T) {
	t.Parallel()
	const secret = "signing-secret-0123456789"
	w := newWorld(t, cxsim.Options{Profile: cxsim.V415, SigningSecret: secret}, func(c *bridge.Config) {
		c.Webhook.SignatureMode, c.Webhook.SignatureSecrets = "enforce", []string{"an-older-secret-0123456789", secret}
		c.Webhook.SignatureTolerance = 24 * time.Hour
	})
	b := w.start().bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectReset, Times: 1})
	b.say("lost", id, "one\\\ntwo  \n\n")
	b.said("lost", "done", "")
	w.delivered()
	for _, d := range w.sim.Deliveries() {
		if !d.OK() {
			t.Errorf("%s was answered %d", d.Event, d.Status)
		}
	}
}

func TestAnEventThatIsDeliveredTwiceIsStoredOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{Profile: cxsim.V412, Unordered: true})
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpDelivery, Effect: cxsim.EffectDuplicateNewID, Copies: 2})
	r := w.start()
	w.sim.Subscribe(r.url(otherToken), "message_created", "conversation_created")
	b := r.bot()
	id := w.conversation("ann")
	const n = 30
	for i := range n {
		if _, err := w.sim.CustomerSays(id, fmt.Sprint("line ", i)); err != nil {
			t.Fatal(err)
		}
	}
	w.delivered()
	var created []string
	for _, m := range b.stored("CX_EVENTS") {
		if m.Subject == "cx.message.created" || m.Subject == "cx.conversation.created" {
			created = append(created, m.Header.Get("Cx-Event")+m.Header.Get("Cx-Message-Id"))
		}
	}
	slices.Sort(created)
	if len(created) != n+1 || len(slices.Compact(created)) != n+1 {
		t.Errorf("%d events: %v; want %d, each once", len(created), created, n+1)
	}
}

func TestAContactIsCreatedOnceForItsConversations(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	b.command("contact.create", "contact", `{"inbox_id":1,"name":"Di","email":"di@example.test"}`)
	b.wait("contact.create", "contact")
	r.stop()
	b = w.start().bot()
	for _, name := range []string{"start-1", "start-2"} {
		b.command("conversation.start", name, `{"inbox_id":1,"contact":{"name":"Di","email":"DI@example.test"}}`)
		if s := b.wait("conversation.start", name); s.Status != "done" {
			t.Errorf("%+v", s)
		}
	}
	if n := len(w.sim.Journal().Calls(cxsim.OpCreateContact)); n != 1 {
		t.Errorf("%d contacts were asked for; want 1", n)
	}
}

func TestAConversationWhoseAnswerWasLostIsFoundByItsEvent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpCreateConversation, Effect: cxsim.EffectLost, Times: 1})
	b.command("conversation.start", "start", `{"inbox_id":1,"contact":{"name":"Di","email":"di@example.test"},"initial_message":"hi"}`)
	if r := b.wait("conversation.start", "start"); r.Status != "done" || string(r.ConversationID) != "1" {
		t.Errorf("%+v", r)
	}
	if n := len(w.sim.Conversations()); n != 1 {
		t.Errorf("%d conversations", n)
	}
	b.letters(0)
}

func TestACallThatIsCutByAStopIsSettledInTheNextLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Grace = 200 * time.Millisecond })
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectHang, Times: 1})
	b.say("cut", id, "once")
	b.say("next", id, "next")
	w.called("the call", func(j cxsim.Journal) bool { return len(j.Messages(id)) == 1 })
	natstest.Eventually(t, "its event to be stored", func() bool {
		return slices.ContainsFunc(b.kept("CX_EVENTS"), func(subject string) bool { return subject == "cx.message.created" })
	})
	r.stop()
	w.cfg.Grace = patience
	b = w.start().bot()
	natstest.Eventually(t, "both results", func() bool { return b.count("CX_RESULTS") == 2 })
	for _, m := range b.stored("CX_RESULTS") {
		if m.Header.Get("Cx-Status") != "done" {
			t.Errorf("%s", m.Data)
		}
	}
	w.wantMessages(id, "once", "next")
	b.letters(0)
}

func TestQueriesOfTheServiceAreAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	for _, subject := range []string{"cx.rpc.inbox.list", "cx.rpc.bridge.status"} {
		m, err := b.conn.Request(subject, nil, patience)
		if err != nil || m.Header.Get("Nats-Service-Error") != "" || !strings.HasPrefix(string(m.Data), "{") && !strings.HasPrefix(string(m.Data), "[") {
			t.Errorf("%s: %v, %v", subject, m, err)
		}
		t.Logf("%s: %s", subject, m.Data)
	}
}

func TestTheTraceOfACommandGoesOnInItsAPICall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.say("traced", w.conversation("ann"), "hello", "traceparent", trace, "tracestate", "a=b")
	b.said("traced", "done", "")
	header := w.sim.Journal()[0].Header
	if !strings.HasPrefix(header["Traceparent"], trace[:35]) || header["Tracestate"] != "a=b" {
		t.Errorf("the API call has the headers %v; want the trace of the command, %s", header, trace)
	}
}
