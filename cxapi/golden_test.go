package cxapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// dump writes down what the vendor documents of a request.
func dump(r *http.Request, body []byte) string {
	return fmt.Sprintf("%s %s\nAuthorization: %s\nAccept: %s\nContent-Type: %s\nUser-Agent: %s\n%s",
		r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), r.Header.Get("Accept"), r.Header.Get("Content-Type"), r.UserAgent(), body)
}

const goldenHead = "\nAuthorization: Bearer " + testToken + "\nAccept: application/json\nContent-Type: application/json\nUser-Agent: cxbridge\n"

const below = "/cx/api/v1/digital-interactions/"

func TestEveryCallIsSentAsDocumented(t *testing.T) {
	priority := int64(2)
	for _, test := range []struct {
		name, line, body string
		call             func(context.Context, *Client) error
	}{
		{"message", "POST " + below + "messages/",
			`{"tenant_domain":"acme.cx.sangoma.com","content":"1 < 2 & \"ü\"","message_type":"outgoing","conversation_id":42}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.SendMessage(ctx, MessageParams{ConversationID: NumberID(42), Content: `1 < 2 & "ü"`})
				return err
			}},
		{"message incoming, id a string", "POST " + below + "messages/",
			`{"tenant_domain":"acme.cx.sangoma.com","content":"hi","message_type":"incoming","conversation_id":"42"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.SendMessage(ctx, MessageParams{ConversationID: StringID("42"), Content: "hi", MessageType: Incoming})
				return err
			}},
		{"conversation", "POST " + below + "conversations/",
			`{"tenant_domain":"acme.cx.sangoma.com","source_id":"ann@example.test","contact_id":77,"inbox_id":5,"priority":2,"initial_message":"hello"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateConversation(ctx, ConversationParams{SourceID: "ann@example.test", ContactID: NumberID(77), InboxID: NumberID(5), Priority: &priority, InitialMessage: "hello"})
				return err
			}},
		{"conversation, the least", "POST " + below + "conversations/",
			`{"tenant_domain":"acme.cx.sangoma.com","source_id":"ann@example.test","contact_id":"77","inbox_id":5}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateConversation(ctx, ConversationParams{SourceID: "ann@example.test", ContactID: StringID("77"), InboxID: NumberID(5)})
				return err
			}},
		{"deliver to agent", "POST " + below + "conversations/deliver-to-agent/",
			`{"tenant_domain":"acme.cx.sangoma.com","conversation_id":42}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.DeliverToAgent(ctx, NumberID(42))
				return err
			}},
		{"finish", "POST " + below + "conversations/finish/",
			`{"tenant_domain":"acme.cx.sangoma.com","conversation_id":"c-42"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.Finish(ctx, StringID("c-42"))
				return err
			}},
		{"contact", "POST " + below + "contacts/",
			`{"tenant_domain":"acme.cx.sangoma.com","name":"Ann","email":"ann@example.test","inbox_id":5,"phone_number":"+199999999"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateContact(ctx, ContactParams{InboxID: NumberID(5), Name: "Ann", Email: "ann@example.test", PhoneNumber: "+199999999"})
				return err
			}},
		{"webhook", "POST " + below + "webhooks/",
			`{"tenant_domain":"acme.cx.sangoma.com","url":"https://bot.example.test/hook","subscriptions":["conversation_created","message_created"]}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateWebhook(ctx, WebhookParams{URL: "https://bot.example.test/hook"})
				return err
			}},
		{"inboxes", "GET " + below + "inboxes/", "",
			func(ctx context.Context, c *Client) error {
				_, err := c.ListInboxes(ctx)
				return err
			}},
		{"agent bot", "POST " + below + "agents-bot/",
			`{"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","description":"answers","name":"Helper"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.CreateAgentBot(ctx, AgentBotParams{Name: "Helper", Description: "answers", OutgoingURL: "https://bot.example.test/bot"})
				return err
			}},
		{"assign agent bot", "POST " + below + "agents-bot/assign/",
			`{"tenant_domain":"acme.cx.sangoma.com","inbox_id":"5","agent_bot_id":"8"}`,
			func(ctx context.Context, c *Client) error {
				_, err := c.AssignAgentBot(ctx, NumberID(5), NumberID(8))
				return err
			}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			base := testServer(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				got = append(got, dump(r, body))
				answering(http.StatusOK, `{"payload":[]}`)(w, r)
			})
			if err := test.call(t.Context(), testClient(t, base)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{test.line + goldenHead + test.body}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTenantInQuery(t *testing.T) {
	var got string
	base := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.RequestURI()
		answering(http.StatusOK, "[]")(w, r)
	})
	if _, err := testClient(t, base, WithTenantInQuery()).ListInboxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := below + "inboxes/?tenant_domain=acme.cx.sangoma.com"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// A platform that only knows the older paths gets the older bodies.
func TestOlderAgentBotPaths(t *testing.T) {
	var got []string
	base := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		status := http.StatusOK
		if r.URL.Path == below+"agents-bot/" || r.URL.Path == below+"agents-bot/assign/" {
			status = http.StatusNotFound
		}
		got = append(got, r.URL.Path+" "+string(body))
		answering(status, `{"id":8}`)(w, r)
	})
	c := testClient(t, base)
	bot, err := c.CreateAgentBot(t.Context(), AgentBotParams{Name: "Helper", Description: "answers", OutgoingURL: "https://bot.example.test/bot"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.AssignAgentBot(t.Context(), NumberID(5), bot.ID); err != nil {
		t.Fatal(err)
	}
	want := []string{
		below + `agents-bot/ {"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","description":"answers","name":"Helper"}`,
		below + `agent-bot/ {"tenant_domain":"acme.cx.sangoma.com","outgoing_url":"https://bot.example.test/bot","name":"Helper"}`,
		below + `agents-bot/assign/ {"tenant_domain":"acme.cx.sangoma.com","inbox_id":"5","agent_bot_id":"8"}`,
		below + `assign-agent-bot/ {"tenant_domain":"acme.cx.sangoma.com","inbox_id":"5","agent_bot_id":"8"}`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMalformedCallsAreNotSent(t *testing.T) {
	c := testClient(t, "http://127.0.0.1:1/", dialer(nil)) // a call that is sent panics
	for name, call := range map[string]func() error{
		"message":      func() error { _, err := c.SendMessage(t.Context(), MessageParams{Content: "hi"}); return err },
		"conversation": func() error { _, err := c.CreateConversation(t.Context(), ConversationParams{}); return err },
		"deliver":      func() error { _, err := c.DeliverToAgent(t.Context(), ID{}); return err },
		"finish":       func() error { _, err := c.Finish(t.Context(), ID{}); return err },
		"contact":      func() error { _, err := c.CreateContact(t.Context(), ContactParams{}); return err },
		"webhook":      func() error { _, err := c.CreateWebhook(t.Context(), WebhookParams{}); return err },
		"bot":          func() error { _, err := c.CreateAgentBot(t.Context(), AgentBotParams{}); return err },
		"assign":       func() error { _, err := c.AssignAgentBot(t.Context(), ID{}, ID{}); return err },
	} {
		if e := failure(t, call()); e.Kind != KindMalformed || e.Outcome != OutcomeNever {
			t.Errorf("%s: got %v, %v", name, e.Kind, e.Outcome)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	ok := WithToken(testToken)
	for name, make := range map[string]func() (*Client, error){
		"no scheme":   func() (*Client, error) { return New("cpaas.sangoma.com/cx/", testTenant, ok) },
		"credentials": func() (*Client, error) { return New("https://a:secret@cpaas.sangoma.com/", testTenant, ok) },
		"query":       func() (*Client, error) { return New("https://cpaas.sangoma.com/?a=b", testTenant, ok) },
		"unreadable":  func() (*Client, error) { return New("https://a:se cret@[::1", testTenant, ok) },
		"no tenant":   func() (*Client, error) { return New(DefaultBaseURL, "", ok) },
		"no token":    func() (*Client, error) { return New(DefaultBaseURL, testTenant) },
		"no time":     func() (*Client, error) { return New(DefaultBaseURL, testTenant, ok, WithTimeout(0)) },
	} {
		if _, err := make(); err == nil {
			t.Errorf("%s: no error", name)
		} else if containsFold(err.Error(), "secret") || containsFold(err.Error(), "se cret") {
			t.Errorf("%s: %v shows the password", name, err)
		}
	}
}
