package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/examples/widget/gateway"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

// house is a bus with the bridge's streams and a gateway; the test plays the bridge.
type house struct {
	t     *testing.T
	js    jetstream.JetStream
	names subjects.Names
	url   string
	end   func()
}

func open(t *testing.T, change func(*gateway.Config)) *house {
	t.Helper()
	h := &house{t: t, js: natstest.Start(t).JetStream(t)}
	var err error
	if h.names, err = subjects.New(subjects.DefaultPrefix); err != nil {
		t.Fatal(err)
	}
	for _, s := range h.names.Streams(subjects.StreamSettings{Replicas: 1, Keyed: true}) {
		if s.Internal {
			continue
		}
		if _, err := h.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects}); err != nil {
			t.Fatal(err)
		}
	}
	h.serve(change)
	return h
}

// serve starts a gateway; the one before ends.
func (h *house) serve(change func(*gateway.Config)) {
	h.t.Helper()
	if h.end != nil {
		h.end()
	}
	cfg := gateway.DefaultConfig()
	cfg.PublishTimeout = natstest.Patience
	if change != nil {
		change(&cfg)
	}
	g := gateway.New(cfg, h.js, h.names, slog.New(slog.DiscardHandler))
	server := httptest.NewServer(g.Handler())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); g.Run(ctx) }()
	stopped := false
	h.end = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		<-ended
		server.CloseClientConnections()
		server.Close()
	}
	h.t.Cleanup(func() { h.end() })
	h.url = server.URL
	select {
	case <-g.Ready():
	case <-time.After(natstest.Patience):
		h.t.Fatal("the gateway does not get ready")
	}
}

func (h *house) publish(subject string, header map[string]string, body any) {
	h.t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		h.t.Fatal(err)
	}
	m := &nats.Msg{Subject: subject, Header: nats.Header{}, Data: data}
	for name, value := range header {
		m.Header.Set(name, value)
	}
	if _, err := h.js.PublishMsg(h.t.Context(), m); err != nil {
		h.t.Fatal(err)
	}
}

// commands waits for the n-th command of a kind and returns its id and body.
func (h *house) command(kind subjects.Kind, n int) (id string, body map[string]any) {
	h.t.Helper()
	stream, err := h.js.Stream(h.t.Context(), h.names.CommandsStream())
	if err != nil {
		h.t.Fatal(err)
	}
	var found *jetstream.RawStreamMsg
	natstest.Eventually(h.t, fmt.Sprintf("%s number %d", kind, n), func() bool {
		found = nil
		for seq, left := uint64(1), n; left > 0; left-- {
			if found, err = stream.GetMsg(h.t.Context(), seq, jetstream.WithGetMsgSubject(h.names.Command(kind))); err != nil {
				return false
			}
			seq = found.Sequence + 1
		}
		return true
	})
	if err := json.Unmarshal(found.Data, &body); err != nil {
		h.t.Fatal(err)
	}
	return found.Header.Get(subjects.HeaderMsgID), body
}

// begin carries out the n-th start.
func (h *house) begin(n int, conversation string) {
	h.t.Helper()
	id, _ := h.command(subjects.ConversationStart, n)
	h.result(subjects.ConversationStart, id, subjects.StatusDone, conversation, "")
}

func (h *house) result(kind subjects.Kind, id string, status subjects.Status, conversation, message string) {
	h.t.Helper()
	r := subjects.Result{CommandID: id, Command: kind, Status: status, ConversationID: subjects.StringID(conversation), MessageID: subjects.StringID(message)}
	h.publish(h.names.Result(kind, id), map[string]string{subjects.HeaderCommandID: id}, r)
}

// event is a message that CX tells of.
type event struct {
	conversation, id, text string
	origin                 subjects.Origin
	private                bool
	inbox, echoOf          string
	keyed                  bool
}

func (h *house) tell(e event) {
	h.t.Helper()
	kind := "outgoing"
	if e.origin == subjects.OriginCustomer {
		kind = "incoming"
	}
	if e.inbox == "" {
		e.inbox = "1"
	}
	header := map[string]string{
		subjects.HeaderEvent: subjects.EventMessageCreated, subjects.HeaderConversationID: e.conversation, subjects.HeaderInboxID: e.inbox,
		subjects.HeaderMessageID: e.id, subjects.HeaderMessageType: kind, subjects.HeaderPrivate: fmt.Sprint(e.private), subjects.HeaderOrigin: string(e.origin),
	}
	if e.echoOf != "" {
		header[subjects.HeaderEchoOf] = e.echoOf
	}
	subject := h.names.Event(subjects.EventMessageCreated)
	if e.keyed {
		subject = h.names.KeyedEvent(subjects.EventMessageCreated, e.inbox, e.conversation)
	}
	h.publish(subject, header, map[string]any{"content": e.text, "sender": map[string]any{"name": "Alex"}})
}

// browser is one visitor.
type browser struct {
	*house
	client *http.Client
}

func (h *house) browser() *browser {
	h.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	transport := &http.Transport{}
	h.t.Cleanup(transport.CloseIdleConnections)
	return &browser{house: h, client: &http.Client{Jar: jar, Transport: transport}}
}

func (b *browser) post(path, body string, header ...string) (int, map[string]any) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodPost, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	told := map[string]any{}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if json.Valid(text) {
		if err := json.Unmarshal(text, &told); err != nil {
			b.t.Fatal(err)
		}
	}
	return response.StatusCode, told
}

func (b *browser) mustPost(path, body string, want int) map[string]any {
	b.t.Helper()
	status, told := b.post(path, body)
	if status != want {
		b.t.Fatalf("POST %s %s = %d %v, want %d", path, body, status, told, want)
	}
	return told
}

// enter begins a conversation as the page does.
func (h *house) enter(name string) *browser {
	h.t.Helper()
	b := h.browser()
	b.mustPost("/api/session", "{}", http.StatusOK)
	body, err := json.Marshal(map[string]string{"name": name})
	if err != nil {
		h.t.Fatal(err)
	}
	b.mustPost("/api/start", string(body), http.StatusAccepted)
	return b
}

// send writes a message once the conversation is known.
func (b *browser) send(id, text string) {
	b.t.Helper()
	natstest.Eventually(b.t, "the message is taken", func() bool {
		status, _ := b.post("/api/messages", fmt.Sprintf(`{"id":%q,"text":%q}`, id, text))
		return status == http.StatusAccepted
	})
}

// watch reads the stream until a line contains the text, and returns everything up to it.
func (b *browser) watch(until string) string {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), natstest.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/api/events", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		b.t.Fatalf("GET /api/events = %d", response.StatusCode)
	}
	var all bytes.Buffer
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), until) {
			return all.String()
		}
	}
	b.t.Fatalf("%q does not come; seen:\n%s", until, all.String())
	return ""
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
