package cxsim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that were left behind. Those of closed connections may need a while to end on a slow
// machine.
func TestMain(m *testing.M) {
	code := m.Run()
	left := goleak.Find()
	for began := time.Now(); left != nil && time.Since(began) < time.Minute; {
		left = goleak.Find()
	}
	if left != nil {
		fmt.Fprintln(os.Stderr, left)
		code = max(code, 1)
	}
	os.Exit(code)
}

// start makes a simulator that serves, and ends it with the test.
func start(t *testing.T, opt Options) *Sim {
	t.Helper()
	s := New(opt)
	t.Cleanup(s.Close)
	if _, err := s.Start(""); err != nil {
		t.Fatal(err)
	}
	return s
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// reception is a receiver of webhooks that keeps what it gets.
type reception struct {
	URL    string
	answer func(*http.Request) int

	mu  sync.Mutex
	got []received
}

type received struct {
	header http.Header
	body   string
}

func receive(t *testing.T, answer func(*http.Request) int) *reception {
	t.Helper()
	r := &reception{answer: answer}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Errorf("receive: %v", err)
		}
		r.mu.Lock()
		r.got = append(r.got, received{q.Header.Clone(), string(body)})
		r.mu.Unlock()
		if r.answer != nil {
			w.WriteHeader(r.answer(q))
		}
	}))
	t.Cleanup(server.Close)
	r.URL = server.URL
	return r
}

func (r *reception) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]received(nil), r.got...)
}

// events are the names of what came, in order.
func (r *reception) events(t *testing.T) []string {
	t.Helper()
	names := []string{}
	for _, g := range r.all() {
		var e struct{ Event string }
		if err := json.Unmarshal([]byte(g.body), &e); err != nil {
			t.Fatalf("%v in %q", err, g.body)
		}
		names = append(names, e.Event)
	}
	return names
}

type answered struct {
	status int
	header http.Header
	body   string
}

// path digs a value out of the answer.
func (a answered) path(t *testing.T, names ...string) any {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	return dig(t, value, names...)
}

func dig(t *testing.T, value any, names ...string) any {
	t.Helper()
	for _, name := range names {
		object, ok := value.(map[string]any)
		if !ok {
			t.Fatalf("no %v in %v", names, value)
		}
		value = object[name]
	}
	return value
}

func client(t *testing.T) *http.Client {
	t.Helper()
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// try makes a call and reports how the connection went.
func try(t *testing.T, ctx context.Context, method, url, token, body string) (answered, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client(t).Do(r)
	if err != nil {
		return answered{}, err
	}
	text, err := io.ReadAll(response.Body)
	if closing := response.Body.Close(); err == nil {
		err = closing
	}
	return answered{response.StatusCode, response.Header, string(text)}, err
}

func call(t *testing.T, s *Sim, path, body string) answered {
	t.Helper()
	method := http.MethodPost
	if body == "" {
		method = http.MethodGet
	}
	a, err := try(t, within(t), method, s.URL()+path, DefaultToken, body)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const tenantMember = `"tenant_domain":"acme.cx.sangoma.com"`

// conversationByAPI is a conversation in the API inbox.
func conversationByAPI(t *testing.T, s *Sim) Conversation {
	t.Helper()
	c, err := s.NewConversation(Visitor{Name: "Ann", Email: "ann@example.test", InboxID: s.InboxID(ChannelAPI)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheFlowWithOnesOwnWidget(t *testing.T) {
	s := start(t, Options{})
	hook := receive(t, nil)
	a := call(t, s, "webhooks/", `{`+tenantMember+`,"url":"`+hook.URL+`","subscriptions":["conversation_created","message_created"]}`)
	if a.status != 200 {
		t.Fatalf("webhook: %+v", a)
	}
	a = call(t, s, "contacts/", `{`+tenantMember+`,"name":"Ann","email":"ann@example.test","inbox_id":1,"phone_number":"+199999999"}`)
	if a.status != 200 || a.path(t, "payload", "contact", "id") != 77.0 {
		t.Fatalf("contact: %+v", a)
	}
	a = call(t, s, "conversations/", `{`+tenantMember+`,"source_id":"ann@example.test","contact_id":77,"inbox_id":"1","priority":2,"initial_message":"hi"}`)
	if a.status != 200 || a.path(t, "id") != 1.0 || a.path(t, "priority") != "high" {
		t.Fatalf("conversation: %+v", a)
	}
	a = call(t, s, "messages/", `{`+tenantMember+`,"content":"hello","conversation_id":1}`)
	if a.status != 200 || a.path(t, "message_type") != 1.0 {
		t.Fatalf("message: %+v", a)
	}
	a = call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`)
	if a.status != 200 || a.path(t, "payload", "current_status") != "open" {
		t.Fatalf("deliver: %+v", a)
	}
	if _, err := s.AgentSays(1, "what can I do for you?"); err != nil {
		t.Fatal(err)
	}
	if a = call(t, s, "conversations/finish/", `{`+tenantMember+`,"conversation_id":1}`); a.path(t, "payload", "current_status") != "resolved" {
		t.Fatalf("finish: %+v", a)
	}
	if err := s.WaitIdle(within(t)); err != nil {
		t.Fatal(err)
	}
	want := "conversation_created message_created message_created message_created"
	if got := strings.Join(hook.events(t), " "); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if got := s.Journal().Messages(1).Contents(); len(got) != 1 || got[0] != "hello" {
		t.Errorf("messages in the journal: %q", got)
	}
	if len(s.Journal().CarriedOut()) != 6 {
		t.Errorf("journal: %+v", s.Journal())
	}
}
