package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

const signingSecret = "signing-secret-0123456789"

// flowWorld is a platform of a version that may sign its webhooks, and a bridge to it that insists on that.
func flowWorld(t *testing.T, profile cxsim.Profile, opt cxsim.Options, changes ...func(*bridge.Config)) *world {
	t.Helper()
	opt.Profile = profile
	if profile == cxsim.V412 || profile == cxsim.V415 {
		opt.SigningSecret = signingSecret
		changes = append(changes, func(c *bridge.Config) {
			c.Webhook.SignatureMode, c.Webhook.SignatureSecrets, c.Webhook.SignatureTolerance = "enforce", []string{signingSecret}, 24*time.Hour
		})
	}
	return newWorld(t, opt, changes...)
}

// TestFlowAFromTheFirstCallToTheLast is the vendor's widget with an agent bot: the bot is created and assigned on the command line, its events
// come to the bridge, and a program that has a NATS client and nothing else talks to the visitor and hands over.
func TestFlowAFromTheFirstCallToTheLast(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "cxbridge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/cxbridge")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, profile := range cxsim.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			t.Parallel()
			flowA(t, program, profile)
		})
	}
}

func flowA(t *testing.T, program string, profile cxsim.Profile) {
	w := flowWorld(t, profile, cxsim.Options{Inboxes: []cxsim.InboxOptions{
		{Name: "Chat"}, {Name: "Website", Channel: cxsim.ChannelWebWidget, Greeting: "Welcome!"},
	}})
	r := w.begin()
	b := r.bot()
	heard := b.listen("cx.message.created")
	call := func(into any, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), program, append(args, "--json")...)
		cmd.Env = append(os.Environ(), "CXBRIDGE_CX__BASE_URL="+w.sim.URL(), "CXBRIDGE_CX__TENANT_DOMAIN="+tenant, "CXBRIDGE_CX__ACCESS_TOKEN="+cxsim.DefaultToken)
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, into)
		}
		if err != nil {
			t.Fatalf("cxbridge %v: %v\n%s", args, err, out)
		}
	}
	var made struct{ ID json.RawMessage }
	call(&made, "bot", "create", "--name", "Parcels", "--description", "Where is my parcel?", "--url", r.url(pathToken))
	var inboxes []struct {
		ID          json.RawMessage
		ChannelType string `json:"channel_type"`
	}
	call(&inboxes, "inbox", "list")
	at := slices.IndexFunc(inboxes, func(i struct {
		ID          json.RawMessage
		ChannelType string `json:"channel_type"`
	}) bool {
		return i.ChannelType == cxsim.ChannelWebWidget
	})
	call(&struct{}{}, "bot", "assign", "--bot", string(made.ID), "--inbox", string(inboxes[at].ID))

	c, err := w.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "Where is my parcel?"})
	if err != nil {
		t.Fatal(err)
	}
	asked := hear(t, heard, "customer", "Where is my parcel?")
	hear(t, heard, "system", "Welcome!")
	answerTo(b, asked, "message.send", `{"conversation_id":%s,"content":"In the van. Ask for an agent at any time."}`)
	hear(t, heard, "bot", "In the van. Ask for an agent at any time.")
	if _, err := w.sim.CustomerSays(c.ID, "agent"); err != nil {
		t.Fatal(err)
	}
	asked = hear(t, heard, "customer", "agent")
	answerTo(b, asked, "conversation.handoff", `{"conversation_id":%s}`)
	if _, err := w.sim.AgentSays(c.ID, "I am Bo."); err != nil {
		t.Fatal(err)
	}
	hear(t, heard, "agent", "I am Bo.")
	if err := w.sim.AgentResolves(c.ID); err != nil {
		t.Fatal(err)
	}
	w.delivered()

	want := map[string]int{
		"cx.webwidget.triggered": 1, "cx.message.created": 5, "cx.conversation.opened": 1, "cx.conversation.resolved": 1,
	}
	if profile == cxsim.V415 {
		want["cx.conversation.status_changed"], want["cx.conversation.updated"] = 2, 5
	}
	b.wantEvents(want)
	w.wantCalls(cxsim.OpCreateBot, cxsim.OpListInboxes, cxsim.OpAssignBot, cxsim.OpSendMessage, cxsim.OpDeliverToAgent)
	w.wantConversation(c.ID, "resolved", "Where is my parcel?", "Welcome!", "In the van. Ask for an agent at any time.", "agent", "I am Bo.")
	b.oneResultEach(2)
	b.letters(0)
}

// TestFlowBFromTheFirstCallToTheLast is a widget of one's own with a webhook, which the bridge registers: contact, conversation and both sides
// of the talk are commands of programs that have a NATS client and nothing else.
func TestFlowBFromTheFirstCallToTheLast(t *testing.T) {
	t.Parallel()
	for _, profile := range cxsim.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			t.Parallel()
			flowB(t, profile)
		})
	}
}

func flowB(t *testing.T, profile cxsim.Profile) {
	public := newIngress(t)
	w := flowWorld(t, profile, cxsim.Options{}, func(c *bridge.Config) {
		c.Webhook.PublicURL, c.Webhook.Subscriptions = public.URL, profile.Subscriptions()
	})
	r := w.begin()
	public.to(r)
	w.called("the webhook to be registered", func(j cxsim.Journal) bool { return len(j.Calls(cxsim.OpCreateWebhook).CarriedOut()) == 1 })
	widget, b := r.bot(), r.bot()
	shown, heard := widget.listen("cx.message.created"), b.listen("cx.message.created")

	inboxes, err := widget.conn.Request("cx.rpc.inbox.list", nil, patience)
	if err != nil || !strings.Contains(string(inboxes.Data), cxsim.ChannelAPI) {
		t.Fatalf("%v, %v", inboxes, err)
	}
	widget.command("conversation.start", "start",
		`{"inbox_id":1,"contact":{"name":"Ann","email":"ann@example.test","phone_number":"+4930123456"},"priority":2,"initial_message":"Where is my parcel?"}`)
	started := widget.wait("conversation.start", "start")
	if started.Status != "done" || started.ContactID == nil {
		t.Fatalf("%+v", started)
	}
	id := number(t, started.ConversationID)
	asked := hear(t, heard, "", "Where is my parcel?")
	answerTo(b, asked, "message.send", `{"conversation_id":%s,"content":"In the van. Ask for an agent at any time."}`)
	hear(t, shown, "bot", "In the van. Ask for an agent at any time.")
	widget.command("message.send", "customer-1", fmt.Sprintf(`{"conversation_id":%d,"content":"agent","message_type":"incoming"}`, id))
	asked = hear(t, heard, "customer", "agent")
	widget.said("customer-1", "done", "")
	answerTo(b, asked, "conversation.handoff", `{"conversation_id":%s}`)
	if _, err := w.sim.AgentSays(id, "I am Bo."); err != nil {
		t.Fatal(err)
	}
	if err := errorOf(w.sim.AgentNotes(id, "she is angry")); err != nil {
		t.Fatal(err)
	}
	hear(t, shown, "agent", "I am Bo.")
	note := hear(t, shown, "agent", "she is angry")
	if note.Header.Get("Cx-Private") != "true" {
		t.Errorf("the note is not marked: %v", note.Header)
	}
	widget.command("message.send", "customer-2", fmt.Sprintf(`{"conversation_id":%d,"content":"Thanks, that is all.","message_type":"incoming"}`, id))
	asked = hear(t, heard, "customer", "Thanks, that is all.")
	answerTo(b, asked, "conversation.finish", `{"conversation_id":%s}`)
	w.others(profile, id)
	w.delivered()

	want := map[string]int{
		"cx.contact.created": 1, "cx.contact.updated": 1, "cx.conversation.created": 1, "cx.message.created": 6, "cx.message.updated": 1,
		"cx.conversation.status_changed": 2, "cx.conversation.updated": 6,
	}
	if profile != cxsim.V313 {
		want["cx.conversation.typing_on"] = 1
	}
	b.wantEvents(want)
	w.wantCalls(cxsim.OpCreateWebhook, cxsim.OpListInboxes, cxsim.OpCreateContact, cxsim.OpCreateConversation, cxsim.OpSendMessage, cxsim.OpSendMessage,
		cxsim.OpDeliverToAgent, cxsim.OpSendMessage, cxsim.OpFinish)
	w.wantConversation(id, "resolved", "Where is my parcel?", "In the van. Ask for an agent at any time.", "agent", "I am Bo.", "she is angry!",
		"Thanks, that is all.")
	b.oneResultEach(6)
	b.letters(0)
}

func errorOf[T any](_ T, err error) error { return err }

// others lets happen what is of no use to a bot, but is told to webhooks.
func (w *world) others(profile cxsim.Profile, id int64) {
	w.t.Helper()
	c, err := w.sim.Conversation(id)
	if err != nil {
		w.t.Fatal(err)
	}
	note := c.Messages[slices.IndexFunc(c.Messages, func(m cxsim.Message) bool { return m.Private })]
	err = w.sim.ChangeContact(c.Contact.ID, "Ann B.", "", "")
	if err == nil {
		err = w.sim.EditMessage(id, note.ID, "she is angry!")
	}
	if err == nil && profile != cxsim.V313 {
		err = w.sim.CustomerTypes(id, true)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// ingress is the public address of a bridge, which begins to listen only later.
type ingress struct {
	*httptest.Server
	behind atomic.Pointer[url.URL]
}

func newIngress(t *testing.T) *ingress {
	t.Helper()
	in := &ingress{}
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(in.behind.Load()) },
		Transport: &http.Transport{DisableKeepAlives: true},
	}
	in.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if in.behind.Load() == nil {
			rw.WriteHeader(http.StatusBadGateway)
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	t.Cleanup(in.Close)
	return in
}

func (in *ingress) to(r *running) {
	in.behind.Store(&url.URL{Scheme: "http", Host: r.WebhookAddr().String()})
}

// hear waits for a message of somebody (anybody if empty) with a text.
func hear(t *testing.T, from *nats.Subscription, origin, content string) *nats.Msg {
	t.Helper()
	for limit := time.Now().Add(patience); ; {
		m, err := from.NextMsg(time.Until(limit))
		if err != nil {
			t.Fatalf("%q of %s is not heard: %v", content, origin, err)
		}
		var event struct{ Content string }
		if err := json.Unmarshal(m.Data, &event); err != nil {
			t.Fatal(err)
		}
		if event.Content != content {
			continue
		}
		if got := m.Header.Get("Cx-Origin"); origin != "" && got != origin {
			t.Errorf("%q is of %q; want %q", content, got, origin)
		}
		return m
	}
}

// answerTo answers an event with a command, whose id is made of the event's, and waits for its result.
func answerTo(b *bot, event *nats.Msg, kind, body string) {
	b.t.Helper()
	id := kind[strings.Index(kind, ".")+1:] + "-" + event.Header.Get("Cx-Message-Id")
	b.command(kind, id, fmt.Sprintf(body, event.Header.Get("Cx-Conversation-Id")))
	if r := b.wait(kind, id); r.Status != "done" {
		b.t.Errorf("%+v", r)
	}
}

// wantEvents wants so many events on each subject, and none on any other.
func (b *bot) wantEvents(want map[string]int) {
	b.t.Helper()
	got := map[string]int{}
	for _, subject := range b.kept("CX_EVENTS") {
		got[subject]++
	}
	if !maps.Equal(got, want) {
		b.t.Errorf("the stream has %v; want %v", got, want)
	}
}

// wantCalls wants exactly these calls of the API, each carried out at once.
func (w *world) wantCalls(want ...cxsim.Operation) {
	w.t.Helper()
	var got []cxsim.Operation
	for _, e := range w.sim.Journal() {
		if got = append(got, e.Op); !e.CarriedOut {
			w.t.Errorf("not carried out: %+v", e)
		}
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("the API was asked for %v; want %v", got, want)
	}
}

// wantConversation wants a status, and these texts of everybody in this order.
func (w *world) wantConversation(id int64, status string, want ...string) {
	w.t.Helper()
	c, err := w.sim.Conversation(id)
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, m := range c.Messages {
		if m.Type != "activity" {
			got = append(got, m.Content)
		}
	}
	if c.Status != status || !slices.Equal(got, want) {
		w.t.Errorf("the conversation is %s with %q; want %s with %q", c.Status, got, status, want)
	}
}

func TestAMessageOnThreeChannelsIsOneEvent(t *testing.T) {
	t.Parallel()
	for _, profile := range cxsim.Profiles() {
		t.Run(string(profile), func(t *testing.T) {
			t.Parallel()
			w := flowWorld(t, profile, cxsim.Options{})
			r := w.start()
			b := r.bot()
			inbox := w.sim.InboxID(cxsim.ChannelAPI)
			w.sim.AttachBot(inbox, "bot", r.url(pathToken))
			if _, ok := w.sim.AttachInboxWebhook(inbox, r.url(otherToken)); !ok {
				t.Fatal("the inbox has no webhook")
			}
			id := w.conversation("ann")
			b.say("hello", id, "hello")
			b.said("hello", "done", "")
			w.delivered()
			deliveries := 0
			for _, d := range w.sim.Deliveries() {
				if d.Event == "message_created" {
					deliveries++
				}
			}
			stored := 0
			for _, subject := range b.kept("CX_EVENTS") {
				if subject == "cx.message.created" {
					stored++
				}
			}
			if deliveries != 3 || stored != 1 {
				t.Errorf("%d deliveries, %d events; want 3 and 1", deliveries, stored)
			}
		})
	}
}

// TestAContactThatOthersMadeIsFoundInTheEvents begins conversations with contacts of which the bridge knows only what webhooks told.
func TestAContactThatOthersMadeIsFoundInTheEvents(t *testing.T) {
	t.Parallel()
	for _, keyed := range []bool{false, true} {
		t.Run(fmt.Sprintf("keyed %t", keyed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Subjects.Keyed = keyed })
			r := w.begin()
			b := r.bot()
			ann, err := w.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test"}) // of which nobody hears
			if err != nil {
				t.Fatal(err)
			}
			w.sim.Subscribe(r.url(pathToken), cxsim.V313.Subscriptions()...)
			b.command("conversation.start", "too-early", `{"inbox_id":1,"contact":{"name":"Ann","email":"ann@example.test"}}`)
			if s := b.wait("conversation.start", "too-early"); s.Status != "refused" || s.Reason != "rejected" {
				t.Errorf("%+v", s)
			}
			if _, err := w.sim.CustomerSays(ann.ID, "hello"); err != nil {
				t.Fatal(err)
			}
			di, err := w.sim.NewConversation(cxsim.Visitor{Name: "Di", Phone: "+4930123456"})
			if err != nil {
				t.Fatal(err)
			}
			w.delivered()
			b.command("conversation.start", "ann", `{"inbox_id":1,"contact":{"name":"Ann","email":"ANN@example.test"}}`)
			if s := b.wait("conversation.start", "ann"); s.Status != "done" || number(t, s.ContactID) != ann.Contact.ID {
				t.Errorf("%+v", s)
			}
			b.command("contact.create", "di", `{"inbox_id":1,"name":"Di","phone_number":"+4930123456"}`)
			if s := b.wait("contact.create", "di"); s.Status != "done" || number(t, s.ContactID) != di.Contact.ID {
				t.Errorf("%+v", s)
			}
			b.letters(1)
		})
	}
}
