package cxapi_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// documented are the requests of the vendor's documentation, in the order in which it introduces them; names, texts and ids are made up.
const documented = `POST /oauth/token
POST webhooks/ {"tenant_domain":"acme.cx.sangoma.com","url":"https://bot.example.test/hook","subscriptions":["conversation_created","message_created"]}
GET inboxes/
POST contacts/ {"tenant_domain":"acme.cx.sangoma.com","name":"Ann","email":"ann@example.test","inbox_id":1,"phone_number":"+199999999"}
POST conversations/ {"tenant_domain":"acme.cx.sangoma.com","source_id":"ann@example.test","contact_id":77,"inbox_id":1,"priority":2,"initial_message":"hello"}
POST messages/ {"tenant_domain":"acme.cx.sangoma.com","content":"an answer","message_type":"outgoing","conversation_id":1}
POST messages/ {"tenant_domain":"acme.cx.sangoma.com","content":"thank you","message_type":"incoming","conversation_id":1}
POST conversations/deliver-to-agent/ {"tenant_domain":"acme.cx.sangoma.com","conversation_id":1}
POST conversations/finish/ {"tenant_domain":"acme.cx.sangoma.com","conversation_id":1}
POST conversations/finish/ {"tenant_domain":"acme.cx.sangoma.com","conversation_id":1}
POST agents-bot/ {"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","description":"answers","name":"Helper"}
POST agents-bot/assign/ {"tenant_domain":"acme.cx.sangoma.com","inbox_id":"1","agent_bot_id":"2"}
`

// TestConformance makes the documented calls at the simulator, in every shape that it can have, and holds what it was asked against the
// documentation.
//
// With CX_LIVE=1 it makes them at the real API instead. It needs CX_LIVE_TENANT, and CX_LIVE_TOKEN or CX_LIVE_CLIENT_ID and
// CX_LIVE_CLIENT_SECRET; CX_LIVE_BASE_URL and CX_LIVE_TOKEN_URL lead elsewhere. It only reads, unless CX_LIVE_INBOX names the inbox that it may
// write into; webhooks and bots are never made there.
func TestConformance(t *testing.T) {
	if os.Getenv("CX_LIVE") == "1" {
		live(t)
		return
	}
	for _, profile := range cxsim.Profiles() {
		for _, envelope := range []cxsim.Envelope{cxsim.EnvelopeNative, cxsim.EnvelopeBare, cxsim.EnvelopePayload, cxsim.EnvelopeData} {
			t.Run(fmt.Sprintf("%s %s", profile, envelope), func(t *testing.T) {
				simulated(t, cxsim.Options{Profile: profile, Envelope: envelope}, documented)
			})
		}
	}
	t.Run("201", func(t *testing.T) { simulated(t, cxsim.Options{CreatedStatus: 201}, documented) })
	t.Run("already", func(t *testing.T) { simulated(t, cxsim.Options{StrictStatus: true}, documented) })
	t.Run("texts", func(t *testing.T) {
		want := strings.NewReplacer(`_id":77`, `_id":"77"`, `_id":1,`, `_id":"1",`, `_id":1}`, `_id":"1"}`).Replace(documented)
		simulated(t, cxsim.Options{IDsAsStrings: true}, want)
	})
	t.Run("older paths", func(t *testing.T) {
		want, _, _ := strings.Cut(documented, "POST agents-bot/")
		want += `POST agents-bot/ {"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","description":"answers","name":"Helper"}
POST agent-bot/ {"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","name":"Helper"}
POST agents-bot/assign/ {"tenant_domain":"acme.cx.sangoma.com","inbox_id":"1","agent_bot_id":"2"}
POST assign-agent-bot/ {"tenant_domain":"acme.cx.sangoma.com","inbox_id":"1","agent_bot_id":"2"}
`
		simulated(t, cxsim.Options{BotPaths: cxsim.BotPathsOlder}, want)
	})
}

// simulated makes all calls at a simulator.
func simulated(t *testing.T, opt cxsim.Options, want string) {
	sim := cxsim.New(opt)
	t.Cleanup(sim.Close)
	sim.PauseDeliveries() // the addresses of the documentation lead nowhere
	base, err := sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	tokens := credentials(t, sim.TokenURL(), cxsim.DefaultClientID, cxsim.DefaultClientSecret)
	client := newClient(t, base, cxsim.DefaultTenant, tokens)
	hook, err := client.CreateWebhook(t.Context(), cxapi.WebhookParams{URL: "https://bot.example.test/hook"})
	if err != nil || hook.ID.IsZero() {
		t.Fatalf("%+v, %v", hook, err)
	}
	inboxes, err := client.ListInboxes(t.Context())
	if err != nil || len(inboxes) != 2 || inboxes[0].ChannelType != cxsim.ChannelAPI {
		t.Fatalf("%+v, %v", inboxes, err)
	}
	converse(t, client, inboxes[0].ID, "ann@example.test", "+199999999")
	bot, err := client.CreateAgentBot(t.Context(), cxapi.AgentBotParams{Name: "Helper", Description: "answers", OutgoingURL: "https://bot.example.test/bot"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.AssignAgentBot(t.Context(), inboxes[0].ID, bot.ID); err != nil {
		t.Error(err)
	}
	var got strings.Builder
	for _, e := range sim.Journal() {
		line := e.Method + " " + strings.TrimPrefix(e.Path, cxsim.Root)
		if e.Op != cxsim.OpToken && e.Body != "" {
			line += " " + e.Body
		}
		fmt.Fprintln(&got, line)
	}
	if got.String() != want {
		t.Errorf("the simulator was asked for\n%s\nwant\n%s", got.String(), want)
	}
	if c, err := sim.Conversation(1); err != nil || c.Status != "resolved" || len(c.Messages) != 3 {
		t.Errorf("%+v, %v", c, err)
	}
}

func live(t *testing.T) {
	tokens := cxapi.TokenSource(cxapi.StaticToken(os.Getenv("CX_LIVE_TOKEN")))
	if os.Getenv("CX_LIVE_TOKEN") == "" {
		tokens = credentials(t, os.Getenv("CX_LIVE_TOKEN_URL"), os.Getenv("CX_LIVE_CLIENT_ID"), os.Getenv("CX_LIVE_CLIENT_SECRET"))
	}
	client := newClient(t, cmp.Or(os.Getenv("CX_LIVE_BASE_URL"), cxapi.DefaultBaseURL), os.Getenv("CX_LIVE_TENANT"), tokens)
	inboxes, err := client.ListInboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, inbox := range inboxes {
		t.Logf("inbox %s %q %s", inbox.ID, inbox.Name, inbox.ChannelType)
	}
	mayWrite := os.Getenv("CX_LIVE_INBOX")
	if mayWrite == "" {
		return
	}
	at := slices.IndexFunc(inboxes, func(i cxapi.Inbox) bool { return i.ID.String() == mayWrite })
	if at < 0 {
		t.Fatalf("there is no inbox %q", mayWrite)
	}
	converse(t, client, inboxes[at].ID, fmt.Sprintf("cxapi-%d@example.com", time.Now().UnixNano()), "")
}

func credentials(t *testing.T, url, id, secret string) cxapi.TokenSource {
	t.Helper()
	tokens, err := cxapi.NewClientCredentials(cxapi.ClientCredentialsConfig{TokenURL: url, ClientID: id, ClientSecret: secret})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.CloseIdleConnections)
	return tokens
}

func newClient(t *testing.T, base, tenant string, tokens cxapi.TokenSource) *cxapi.Client {
	t.Helper()
	client, err := cxapi.New(base, tenant, cxapi.WithTokenSource(tokens), cxapi.WithTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

// converse goes the whole way of a chat widget of one's own in an inbox. Both ends of it may be repeated.
func converse(t *testing.T, client *cxapi.Client, inbox cxapi.ID, email, phone string) {
	t.Helper()
	contact, err := client.CreateContact(t.Context(), cxapi.ContactParams{InboxID: inbox, Name: "Ann", Email: email, PhoneNumber: phone})
	if err != nil {
		t.Fatal(err)
	}
	priority := int64(2)
	conversation, err := client.CreateConversation(t.Context(), cxapi.ConversationParams{
		SourceID: email, ContactID: contact.ID, InboxID: inbox, Priority: &priority, InitialMessage: "hello",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []cxapi.MessageParams{{Content: "an answer"}, {Content: "thank you", MessageType: cxapi.Incoming}} {
		m.ConversationID = conversation.ID
		message, err := client.SendMessage(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if message.ID.IsZero() {
			t.Errorf("no id in %s", message.Body)
		}
	}
	if contact.ID.IsZero() || conversation.ID.IsZero() {
		t.Errorf("ids not found in\n%s\n%s", contact.Body, conversation.Body)
	}
	if _, err := client.DeliverToAgent(t.Context(), conversation.ID); err != nil {
		t.Error(err)
	}
	for n := range 2 {
		_, err := client.Finish(t.Context(), conversation.ID)
		var failed *cxapi.Error
		if err != nil && (n == 0 || !errors.As(err, &failed) || !failed.AlreadyDone()) {
			t.Error(err)
		}
	}
}
