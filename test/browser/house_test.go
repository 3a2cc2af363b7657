//go:build browser

package browser

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/examples/widget/gateway"
	"github.com/cxbridge/cxbridge/subjects"
)

// house is everything that runs: NATS on its own, a simulated CX, the bridge, a bot, and the widget with the agent's page at one address.
type house struct {
	t    *testing.T
	bus  *natstest.Server
	sim  *cxsim.Sim
	url  string
	away atomic.Bool // requests of browsers are cut off
	cut  func()      // open ones, too
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, bus: natstest.Start(t), sim: cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 50 * time.Millisecond})}
	t.Cleanup(h.sim.Close)
	base, err := h.sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	b := h.bridge(base)
	h.sim.Subscribe("http://"+b.WebhookAddr().String()+"/webhooks/"+pathToken, "conversation_created", "message_created",
		"conversation_status_changed", "conversation_updated")
	names, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	js := h.bus.JetStream(t)
	h.bot(js, names)
	h.serve(js, names)
	return h
}

const pathToken = "path-token-0123456789"

func (h *house) bridge(base string, change ...func(*bridge.Config)) *bridge.Bridge {
	h.t.Helper()
	cfg := bridge.DefaultConfig()
	cfg.CX.BaseURL, cfg.CX.TenantDomain, cfg.CX.AccessToken, cfg.CX.Timeout = base, cxsim.DefaultTenant, cxsim.DefaultToken, natstest.Patience
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, h.bus.URL
	cfg.Spool.Dir = h.t.TempDir()
	cfg.Webhook.Listen, cfg.Admin.Listen, cfg.Webhook.PathTokens = "127.0.0.1:0", "127.0.0.1:0", []string{pathToken}
	cfg.Webhook.StoreTimeout = natstest.Patience
	cfg.Commands.LeaseTTL, cfg.Grace = natstest.Patience, natstest.Patience
	for _, c := range change {
		c(&cfg)
	}
	b, err := bridge.New(cfg, slog.New(slog.NewTextHandler(h.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	h.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			h.t.Errorf("the bridge: %v", err)
		}
	})
	select {
	case <-b.Ready():
	case <-time.After(natstest.Patience):
		h.t.Fatal("the bridge does not get ready")
	}
	return b
}

// bot answers customers as long as the conversation is with it, and hands over to an agent when it is asked to.
func (h *house) bot(js jetstream.JetStream, names subjects.Names) {
	h.t.Helper()
	consumer, err := js.CreateOrUpdateConsumer(h.t.Context(), names.EventsStream(), jetstream.ConsumerConfig{
		Durable: "bot", FilterSubject: names.Event(subjects.EventMessageCreated), AckPolicy: jetstream.AckExplicitPolicy, AckWait: natstest.Patience,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		if reply(ctx, js, names, m) == nil {
			_ = m.Ack() // or it comes again
		}
	})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { cancel(); consuming.Stop(); <-consuming.Closed() })
}

func reply(ctx context.Context, js jetstream.JetStream, names subjects.Names, m jetstream.Msg) error {
	var event struct {
		Content      string
		Conversation struct{ Status string }
	}
	if json.Unmarshal(m.Data(), &event) != nil || m.Headers().Get(subjects.HeaderOrigin) != string(subjects.OriginCustomer) || event.Conversation.Status != "pending" {
		return nil
	}
	command := func(kind subjects.Kind, content string) error {
		body := map[string]string{"conversation_id": m.Headers().Get(subjects.HeaderConversationID)}
		if content != "" {
			body["content"] = content
		}
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		id := string(kind) + "-" + m.Headers().Get(subjects.HeaderMsgID)
		for { // until NATS is back
			_, err = js.PublishMsg(ctx, &nats.Msg{Subject: names.Command(kind), Header: nats.Header{subjects.HeaderMsgID: {id}}, Data: data})
			if err == nil || ctx.Err() != nil {
				return err
			}
		}
	}
	if !strings.Contains(event.Content, "agent") {
		return command(subjects.MessageSend, "You said: "+event.Content)
	}
	if err := command(subjects.MessageSend, "One moment, I am getting a human."); err != nil {
		return err
	}
	return command(subjects.ConversationHandoff, "")
}

// serve has the widget and the agent's page at one address.
func (h *house) serve(js jetstream.JetStream, names subjects.Names) {
	h.t.Helper()
	cfg := gateway.DefaultConfig()
	cfg.Title, cfg.PublishTimeout, cfg.Messages, cfg.MessagesAtOnce = "Parcel help", natstest.Patience, 100, 100
	g := gateway.New(cfg, js, names, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); g.Run(ctx) }()
	mux := http.NewServeMux()
	mux.Handle("/_sim/", h.sim.Handler())
	mux.Handle("/", g.Handler())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h.away.Load() {
			panic(http.ErrAbortHandler)
		}
		mux.ServeHTTP(w, r)
	}))
	h.url, h.cut = server.URL, server.CloseClientConnections
	h.t.Cleanup(func() {
		cancel()
		<-ended
		server.CloseClientConnections()
		server.Close()
	})
}

// visitor opens the widget and begins a conversation.
func (h *house) visitor(name string, width, height int64) *tab {
	h.t.Helper()
	v := newTab(h.t, width, height)
	v.open(h.url + "/")
	v.until(`!document.querySelector("#start").hidden`)
	v.write("#name", name)
	v.click("#start button")
	v.until(`document.querySelector("#state").textContent.includes("assistant")`)
	return v
}

// says writes a message as the visitor.
func (b *tab) says(text string) {
	b.t.Helper()
	b.write("#text", text)
	b.click("#write button")
}

// conversation waits for the conversation of the visitor at CX.
func (h *house) conversation(name string) cxsim.Conversation {
	h.t.Helper()
	var found *cxsim.Conversation
	natstest.Eventually(h.t, "a conversation of "+name, func() bool {
		for _, c := range h.sim.Conversations() {
			if c.Contact.Name == name {
				found = &c
			}
		}
		return found != nil
	})
	return *found
}

// exactly fails the test unless CX has each of these messages of the visitor once, in this order.
func (h *house) exactly(name string, texts ...string) {
	h.t.Helper()
	var got []string
	for _, m := range h.conversation(name).Messages {
		if m.Type == "incoming" {
			got = append(got, m.Content)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(texts) {
		h.t.Errorf("CX has of %s: %q, want %q", name, got, texts)
	}
}
