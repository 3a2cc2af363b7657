//go:build live

package cxapi_test

import (
	"cmp"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/cxapi"
)

// TestLive makes the documented calls at the real API, or at a simulator: go test -tags live -run TestLive ./cxapi
//
// It needs CX_LIVE_TENANT, and CX_LIVE_TOKEN or CX_LIVE_CLIENT_ID and CX_LIVE_CLIENT_SECRET; CX_LIVE_BASE_URL and
// CX_LIVE_TOKEN_URL lead elsewhere. It only reads, unless CX_LIVE_INBOX names the inbox that it may write into.
func TestLive(t *testing.T) {
	client, err := cxapi.New(cmp.Or(os.Getenv("CX_LIVE_BASE_URL"), cxapi.DefaultBaseURL), os.Getenv("CX_LIVE_TENANT"),
		cxapi.WithTokenSource(liveTokens(t)), cxapi.WithTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	inboxes, err := client.ListInboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mayWrite := os.Getenv("CX_LIVE_INBOX")
	written := mayWrite == ""
	for _, inbox := range inboxes {
		t.Logf("inbox %s %q %s", inbox.ID, inbox.Name, inbox.ChannelType)
		if inbox.ID.String() == mayWrite {
			converse(t, client, inbox.ID)
			written = true
		}
	}
	if !written {
		t.Errorf("there is no inbox %q", mayWrite)
	}
}

func liveTokens(t *testing.T) cxapi.TokenSource {
	t.Helper()
	if token := os.Getenv("CX_LIVE_TOKEN"); token != "" {
		return cxapi.StaticToken(token)
	}
	tokens, err := cxapi.NewClientCredentials(cxapi.ClientCredentialsConfig{
		TokenURL: os.Getenv("CX_LIVE_TOKEN_URL"), ClientID: os.Getenv("CX_LIVE_CLIENT_ID"), ClientSecret: os.Getenv("CX_LIVE_CLIENT_SECRET"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tokens.CloseIdleConnections)
	return tokens
}

// converse goes the whole way of a chat widget of one's own in the inbox.
func converse(t *testing.T, client *cxapi.Client, inbox cxapi.ID) {
	t.Helper()
	email := fmt.Sprintf("cxapi-%d@example.com", time.Now().UnixNano())
	contact, err := client.CreateContact(t.Context(), cxapi.ContactParams{InboxID: inbox, Name: "cxapi test", Email: email})
	if err != nil {
		t.Fatal(err)
	}
	conversation, err := client.CreateConversation(t.Context(), cxapi.ConversationParams{
		SourceID: email, ContactID: contact.ID, InboxID: inbox, InitialMessage: "a test of cxapi",
	})
	if err != nil {
		t.Fatal(err)
	}
	message, err := client.SendMessage(t.Context(), cxapi.MessageParams{ConversationID: conversation.ID, Content: "an answer"})
	if err != nil {
		t.Fatal(err)
	}
	if contact.ID.IsZero() || conversation.ID.IsZero() || message.ID.IsZero() {
		t.Errorf("ids not found in\n%s\n%s\n%s", contact.Body, conversation.Body, message.Body)
	}
	if _, err := client.DeliverToAgent(t.Context(), conversation.ID); err != nil {
		t.Error(err)
	}
	for range 2 { // both calls may be repeated
		if _, err := client.Finish(t.Context(), conversation.ID); err != nil {
			t.Error(err)
		}
	}
}
