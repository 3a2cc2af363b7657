// Package contract lets others judge the contract: the official SDKs and parsers. What needs npm has the build tag contract.
package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/webhook"
	"github.com/cxbridge/cxbridge/subjects"
	"github.com/cxbridge/cxbridge/subjects/asyncapi"
)

const tenant = "acme.cx.sangoma.com"

// outlet takes what a bridge publishes.
type outlet struct{ messages []*nats.Msg }

func (o *outlet) PublishMsg(_ context.Context, m *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	o.messages = append(o.messages, &nats.Msg{Subject: m.Subject, Header: nats.Header(http.Header(m.Header).Clone()), Data: bytes.Clone(m.Data)})
	return &jetstream.PubAck{Stream: "CX_EVENTS", Sequence: uint64(len(o.messages))}, nil
}

func names(t *testing.T) subjects.Names {
	t.Helper()
	n, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// events returns what the bridge's receiver makes of webhooks, odd ones among them.
func events(t *testing.T) []*nats.Msg {
	t.Helper()
	config := webhook.DefaultConfig()
	config.PathTokens = []string{"path-token-1"}
	config.AttemptTimeout, config.StoreTimeout = time.Minute, time.Minute
	out := &outlet{}
	r, err := webhook.New(config, webhook.Deps{
		Names: names(t), Tenant: tenant, Publisher: out, MaxPayload: func() int64 { return 8 << 20 }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	bodies := []string{
		`{"event":"message_created","id":9001,"content":"hi","message_type":"incoming","private":false,"inbox":{"id":5},"sender":{"id":77},"conversation":{"id":42}}`,
		`{"event":"conversation_created","id":42,"inbox_id":5,"status":"pending","messages":[]}`,
		`{"event":"conversation_status_changed","id":"42","status":"open"}`,
		`{"event":"Ein Ereignis: \"ü\" 100% 😀","id":"a b\"c%d/ü"}`,
		`{"event":"message_created","id":"m 1","message_type":"out going","conversation":{"id":"Käse \"7\" 100%"},"inbox":{"id":"\t"}}`,
		`{"event":"x"}`,
	}
	for _, body := range bodies {
		q := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/path-token-1", strings.NewReader(body))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, q)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", body, w.Code, w.Body)
		}
	}
	if len(out.messages) != len(bodies) {
		t.Fatalf("%d messages of %d webhooks", len(out.messages), len(bodies))
	}
	return out.messages
}

// examples returns the examples of the AsyncAPI document that are CloudEvents.
func examples(t *testing.T) []*nats.Msg {
	t.Helper()
	raw, err := asyncapi.Document(names(t), subjects.StreamSettings{}, asyncapi.Version)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		Components struct {
			Messages map[string]struct {
				Examples []struct {
					Headers map[string]string
					Payload json.RawMessage
				}
			}
		}
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	var all []*nats.Msg
	for name, m := range document.Components.Messages {
		for _, e := range m.Examples {
			if e.Headers[subjects.HeaderCESpecVersion] == "" {
				continue
			}
			header := nats.Header{}
			for name, value := range e.Headers {
				header.Set(name, value)
			}
			all = append(all, &nats.Msg{Subject: name, Header: header, Data: e.Payload})
		}
	}
	if len(all) < 5 {
		t.Fatalf("only %d examples are CloudEvents", len(all))
	}
	return all
}

// wanted is what an event must be after an SDK has read it.
func wanted(m *nats.Msg) map[string]string {
	return map[string]string{
		"specversion": subjects.CESpecVersion, "id": m.Header.Get(subjects.HeaderCEID), "source": subjects.CESource(tenant),
		"type": m.Header.Get(subjects.HeaderCEType), "datacontenttype": subjects.ContentTypeJSON,
	}
}

func differ(got map[string]any, want map[string]string) error {
	for name, value := range want {
		if fmt.Sprint(got[name]) != value {
			return fmt.Errorf("%s is %v, not %q", name, got[name], value)
		}
	}
	return nil
}
