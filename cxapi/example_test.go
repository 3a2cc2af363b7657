package cxapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/cxapi"
)

// platform stands for the API: it answers every call with a status and a body, tokens aside.
func platform(status int, body string) *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if strings.HasPrefix(r.URL.Path, "/oauth/") {
			fmt.Fprint(w, `{"access_token":"t-1","token_type":"bearer","expires_in":24304413}`)
			return
		}
		if status == http.StatusTooManyRequests {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
}

func Example() {
	server := platform(http.StatusOK, `{"payload":{"id":9001,"conversation_id":42}}`)
	defer server.Close()
	client, err := cxapi.New(server.URL, "acme.cx.sangoma.com", cxapi.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	message, err := client.SendMessage(context.Background(), cxapi.MessageParams{
		ConversationID: cxapi.NumberID(42),
		Content:        "How can I help?",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("message", message.ID, "in conversation", message.ConversationID)
	// Output: message 9001 in conversation 42
}

func ExampleError() {
	server := platform(http.StatusTooManyRequests, "Retry later")
	defer server.Close()
	client, err := cxapi.New(server.URL, "acme.cx.sangoma.com", cxapi.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	_, err = client.Finish(context.Background(), cxapi.NumberID(42))
	var failure *cxapi.Error
	if errors.As(err, &failure) {
		switch failure.Outcome {
		case cxapi.OutcomeLater:
			fmt.Println("again in", failure.RetryAfter)
		case cxapi.OutcomeNever:
			fmt.Println("refused")
		case cxapi.OutcomeUnknown:
			fmt.Println("do not repeat")
		}
	}
	fmt.Println(err)
	// Output:
	// again in 5s
	// POST conversations/finish/: 429 rate_limited: Retry later
}

func ExampleNewClientCredentials() {
	server := platform(http.StatusOK, `[{"id":5,"name":"Web"}]`)
	defer server.Close()
	tokens, err := cxapi.NewClientCredentials(cxapi.ClientCredentialsConfig{
		TokenURL:     server.URL + "/oauth/token",
		ClientID:     "my-id",
		ClientSecret: "my-secret",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.CloseIdleConnections()
	client, err := cxapi.New(server.URL, "acme.cx.sangoma.com", cxapi.WithTokenSource(tokens))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	inboxes, err := client.ListInboxes(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, inbox := range inboxes {
		fmt.Println(inbox.ID, inbox.Name)
	}
	fmt.Println("token good for", time.Until(tokens.Expiry()).Round(24*time.Hour))
	// Output:
	// 5 Web
	// token good for 6744h0m0s
}

// The whole way of a chat widget of one's own: contact, conversation, handoff.
func ExampleClient_CreateConversation() {
	server := platform(http.StatusOK, `{"data":{"id":"12"}}`)
	defer server.Close()
	client, err := cxapi.New(server.URL, "acme.cx.sangoma.com", cxapi.WithToken("my-token"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.CloseIdleConnections()
	ctx, inbox := context.Background(), cxapi.NumberID(5)
	contact, err := client.CreateContact(ctx, cxapi.ContactParams{InboxID: inbox, Name: "Ann", Email: "ann@example.test"})
	if err != nil {
		fmt.Println(err)
		return
	}
	conversation, err := client.CreateConversation(ctx, cxapi.ConversationParams{
		SourceID: "ann@example.test", ContactID: contact.ID, InboxID: inbox, InitialMessage: "Where is my parcel?",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	answer, err := client.DeliverToAgent(ctx, conversation.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("conversation", conversation.ID, "handed over:", answer.Status)
	// Output: conversation 12 handed over: 200
}
