package cxapi

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// answerFile reads an answer in testdata.
func answerFile(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", "answers", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// ids makes the call for a kind of answer and returns the ids that were read, as they are written in JSON.
func ids(ctx context.Context, c *Client, kind string) ([]ID, error) {
	switch kind {
	case "message":
		m, err := c.SendMessage(ctx, MessageParams{ConversationID: NumberID(7), Content: "hello"})
		if err != nil {
			return nil, err
		}
		return []ID{m.ID, m.ConversationID}, nil
	case "conversation":
		v, err := c.CreateConversation(ctx, ConversationParams{SourceID: "s", ContactID: NumberID(70), InboxID: NumberID(5), InitialMessage: "hello"})
		if err != nil {
			return nil, err
		}
		return []ID{v.ID, v.ContactID, v.InboxID, v.MessageID}, nil
	case "contact":
		v, err := c.CreateContact(ctx, ContactParams{InboxID: NumberID(5), Name: "Ann", Email: "ann@example.test"})
		if err != nil {
			return nil, err
		}
		return []ID{v.ID}, nil
	case "webhook":
		v, err := c.CreateWebhook(ctx, WebhookParams{URL: "https://bot.example.test/hook"})
		if err != nil {
			return nil, err
		}
		return []ID{v.ID}, nil
	default:
		v, err := c.CreateAgentBot(ctx, AgentBotParams{Name: "Helper", OutgoingURL: "https://bot.example.test/bot"})
		if err != nil {
			return nil, err
		}
		return []ID{v.ID}, nil
	}
}

// Each file is an answer in one of the shapes seen of the platform, bare or wrapped.
func TestAnswers(t *testing.T) {
	for file, want := range map[string]string{
		"message_bare":         `[9001,42]`,
		"message_payload":      `[9001,42]`,
		"message_data_string":  `["9001","42"]`,
		"message_named":        `[9001,42]`,
		"message_message_id":   `[9001,42]`,
		"message_list":         `[9001,42]`,
		"conversation_bare":    `[42,70,5,9001]`,
		"conversation_payload": `[42,77,5,null]`,
		"conversation_data":    `["42",70,5,null]`,
		"contact_payload":      `[77]`,
		"contact_bare":         `["77"]`,
		"contact_data":         `[77]`,
		"webhook_payload":      `[12]`,
		"webhook_bare":         `[12]`,
		"bot_bare":             `[8]`,
		"bot_named":            `["8"]`,
	} {
		for _, status := range []int{http.StatusOK, http.StatusCreated, http.StatusAccepted} {
			kind, _, _ := strings.Cut(file, "_")
			c := testClient(t, testServer(t, answering(status, string(answerFile(t, file)))))
			got, err := ids(t.Context(), c, kind)
			if err != nil {
				t.Errorf("%s: %v", file, err)
				continue
			}
			text, err := json.Marshal(got)
			if err != nil || string(text) != want {
				t.Errorf("%s: got %s, %v, want %s", file, text, err, want)
			}
		}
	}
}

func TestAnswerIsKeptWhole(t *testing.T) {
	want := answerFile(t, "message_bare")
	c := testClient(t, testServer(t, answering(http.StatusCreated, string(want))))
	m, err := c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Body) != string(want) || m.Status != http.StatusCreated {
		t.Errorf("got %d %s", m.Status, m.Body)
	}
}

func TestSecretsOfWebhookAndBot(t *testing.T) {
	c := testClient(t, testServer(t, answering(http.StatusOK, string(answerFile(t, "webhook_payload")))))
	if w, err := c.CreateWebhook(t.Context(), WebhookParams{URL: "https://bot.example.test/"}); err != nil || w.Secret != "whsec-0123456789" {
		t.Errorf("got %+v, %v", w, err)
	}
}

func TestInboxes(t *testing.T) {
	for _, file := range []string{"inboxes_payload", "inboxes_bare", "inboxes_data", "inboxes_results"} {
		c := testClient(t, testServer(t, answering(http.StatusOK, string(answerFile(t, file)))))
		got, err := c.ListInboxes(t.Context())
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want := []Inbox{
			{ID: NumberID(5), Name: "Web", ChannelType: "Channel::Api", Body: json.RawMessage(`{"id":5,"name":"Web","channel_type":"Channel::Api"}`)},
			{ID: StringID("6"), Name: "Mail", ChannelType: "Channel::Email", Body: json.RawMessage(`{"id":"6","name":"Mail","channel_type":"Channel::Email"}`)},
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(ID{})); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
	for _, body := range []string{"", `{"payload":null}`, "<html>", `"x"`} {
		c := testClient(t, testServer(t, answering(http.StatusOK, body)))
		if _, err := c.ListInboxes(t.Context()); failure(t, err).Outcome != OutcomeLater {
			t.Errorf("%q: %v", body, err)
		}
	}
}

// resources are the places of a kind of object in an answer.
func resources() map[string]resource {
	return map[string]resource{
		"message":      {func(o *object) ID { return o.MessageID.ID }, func(o *object) subtree { return o.Message }},
		"conversation": {func(o *object) ID { return o.ConversationID.ID }, func(o *object) subtree { return o.Conversation }},
		"contact":      {func(o *object) ID { return o.ContactID.ID }, func(o *object) subtree { return o.Contact }},
		"webhook":      {func(o *object) ID { return o.WebhookID.ID }, func(o *object) subtree { return o.Webhook }},
		"bot":          {func(o *object) ID { return o.AgentBotID.ID }, func(o *object) subtree { return o.AgentBot }},
	}
}

// An answer that breaks off gives its id or none, and never a part of it or another one.
func TestCutAnywhere(t *testing.T) {
	files, err := filepath.Glob("testdata/answers/*_*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		kind, _, _ := strings.Cut(name, "_")
		r, ok := resources()[kind]
		if !ok {
			continue
		}
		whole := answerFile(t, name)
		want := r.idOf(r.find(whole))
		for i := range whole {
			if o := r.find(mend(whole[:i])); o != nil && r.idOf(o) != want {
				t.Errorf("%s cut after %q: got %v, want %v", name, whole[:i], r.idOf(o), want)
			}
		}
		if o := r.find(mend(whole)); o == nil || r.idOf(o) != want {
			t.Errorf("%s: mending changed the whole answer", name)
		}
	}
}

// FuzzAnswer feeds the parser of answers: it must not panic, and what it finds must be a usable id.
func FuzzAnswer(f *testing.F) {
	files, err := filepath.Glob("testdata/answers/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(answerFile(f, strings.TrimSuffix(filepath.Base(file), ".json")))
	}
	f.Add([]byte(`{"id":1e3,"payload":[[{"id":""}]]}`))
	f.Add([]byte(strings.Repeat(`{"data":[`, 100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		mended := mend(data)
		if json.Valid(data) && len(data) > 0 && !json.Valid(mended) && len(mended) > 0 {
			t.Errorf("mending %q broke it: %q", data, mended)
		}
		for _, raw := range [][]byte{data, mended} {
			for kind, r := range resources() {
				o := r.find(raw)
				if o == nil {
					continue
				}
				text, err := json.Marshal(r.idOf(o))
				if err != nil || string(text) == "null" {
					t.Errorf("%s: id %s, %v", kind, text, err)
				}
				if again, err := ParseID(text); err != nil || again != r.idOf(o) {
					t.Errorf("%s: id %s reads as %v, %v", kind, text, again, err)
				}
			}
			if list, ok := findInboxes(raw, maxWrapping); ok {
				for _, inbox := range list {
					if inbox.ID.IsZero() {
						t.Errorf("inbox without id: %s", inbox.Body)
					}
				}
			}
		}
		if code, message := excerpt(data, data, "secret"); len(message) > maxExcerpt+8 || len(code) > maxExcerpt+8 || strings.ContainsAny(message, "\r\n") {
			t.Errorf("excerpt %q %q", code, message)
		}
	})
}
