package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

// operator answers with what it was asked.
type operator struct {
	mu    sync.Mutex
	asked []string
}

func (o *operator) Ask(_ context.Context, query string, request []byte) (any, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = append(o.asked, query)
	switch query {
	case "bridge.status", "bridge.lanes", "bridge.dead.replay":
		return map[string]string{"query": query, "request": string(request)}, nil
	case "bridge.explain":
		return nil, errors.New("nothing is known of it")
	}
	return nil, fmt.Errorf("%s: %w", query, ErrNoQuery)
}

func (o *operator) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.asked)
}

// place is a console that is served.
type place struct {
	*testing.T
	*Console
	operator *operator
	js       jetstream.JetStream
	url      string
	token    atomic.Value
}

func serve(t *testing.T, token string) *place {
	t.Helper()
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	p := &place{T: t, operator: &operator{}, js: natstest.Start(t).JetStream(t)}
	p.token.Store(token)
	current := func() string { return p.token.Load().(string) }
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: 1}) {
		if !s.Internal {
			natstest.CreateStream(t, p.js, jetstream.StreamConfig{Name: s.Name, Subjects: s.Subjects, AllowDirect: true, AllowMsgSchedules: s.AllowMsgSchedules, AllowMsgTTL: s.AllowMsgTTL})
		}
	}
	p.Console = New(Deps{
		Names: names, Streams: p.js, Operator: p.operator, Metrics: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler),
		Refresh: func(context.Context) {}, Token: current, Allowed: func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer "+current() },
	})
	handler, err := p.Handler()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	p.url = server.URL
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Console.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		server.Close()
	})
	return p
}

// do sends a request with headers, which come in pairs.
func (p *place) do(method, path, body string, headers ...string) (status int, text string, header http.Header) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		p.Fatal(err)
	}
	http.DefaultClient.CloseIdleConnections()
	return response.StatusCode, string(read), response.Header
}

// cookies are those that an answer sets.
func cookies(header http.Header) []*http.Cookie {
	return (&http.Response{Header: header}).Cookies()
}

const asJSON = "application/json"

// watching is an open stream of news.
type watching struct {
	p     *place
	lines *bufio.Scanner
	end   func()
}

func (p *place) open() *watching {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url+"/console/events", nil)
	if err != nil {
		p.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	response, err := client.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		p.Fatalf("/console/events = %d", response.StatusCode)
	}
	var once sync.Once
	w := &watching{p: p, lines: bufio.NewScanner(response.Body), end: func() {
		once.Do(func() { cancel(); response.Body.Close(); client.CloseIdleConnections() })
	}}
	w.lines.Buffer(nil, 4<<20)
	p.Cleanup(w.end)
	return w
}

// next reads up to the next message of a kind.
func (w *watching) next(event string, into any) {
	w.p.Helper()
	found := false
	for w.lines.Scan() {
		line := w.lines.Text()
		if line == "event: "+event {
			found = true
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok && found {
			if err := json.Unmarshal([]byte(data), into); err != nil {
				w.p.Fatalf("%v in %s", err, data)
			}
			return
		}
	}
	w.p.Fatalf("no %s came: %v", event, w.lines.Err())
}

// rows reads news until there are so many rows in all.
func (w *watching) rows(n int) []row {
	w.p.Helper()
	var all []row
	for len(all) < n {
		var one news
		w.next("feed", &one)
		if one.Problem != "" {
			w.p.Logf("problem: %s", one.Problem)
		}
		all = append(all, one.Rows...)
	}
	return all
}

func (p *place) publish(subject, body string, headers ...string) {
	p.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	if _, err := p.js.PublishMsg(p.Context(), m); err != nil {
		p.Fatal(err)
	}
}

func TestThePageUsesNothingButItsOwnFiles(t *testing.T) {
	p := serve(t, "")
	status, text, header := p.do("GET", "/", "")
	if policy := header.Get("Content-Security-Policy"); status != 200 || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("GET / = %d with the policy %q", status, policy)
	}
	for _, part := range strings.Split(text, `="`)[1:] {
		if value, _, _ := strings.Cut(part, `"`); strings.Contains(value, "//") {
			t.Errorf("the page refers to %s", value)
		}
	}
	if strings.Contains(text, "<style") || strings.Contains(text, "style=") || strings.Contains(text, "onclick") {
		t.Error("the page has a style or a script in itself")
	}
	files, err := pages.ReadDir("page")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		path := "/console/page/" + f.Name()
		if f.Name() == "index.html" {
			path = "/"
		}
		if status, _, _ := p.do("GET", path, ""); status != 200 {
			t.Errorf("GET %s = %d", path, status)
		}
	}
	if status, _, _ := p.do("GET", "/nothing", ""); status != 404 {
		t.Errorf("GET /nothing = %d", status)
	}
}

func TestQueriesAreAnsweredAndBoundToThePage(t *testing.T) {
	p := serve(t, "")
	if status, text, _ := p.do("POST", "/console/ask/status", `{"a":1}`, "Content-Type", asJSON); status != 200 || !strings.Contains(text, `"bridge.status"`) || !strings.Contains(text, `{\"a\":1}`) {
		t.Errorf("status = %d %s", status, text)
	}
	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
	}{
		{"unknown", "POST", "/console/ask/nothing", "{}", []string{"Content-Type", asJSON}, 404},
		{"refused", "POST", "/console/ask/explain", "{}", []string{"Content-Type", asJSON}, 422},
		{"a form", "POST", "/console/ask/dead.replay", "a=b", []string{"Content-Type", "application/x-www-form-urlencoded"}, 415},
		{"no type", "POST", "/console/ask/dead.replay", "{}", nil, 415},
		{"a link", "GET", "/console/ask/dead.replay", "", nil, 405},
		{"another page", "POST", "/console/ask/dead.replay", "{}", []string{"Content-Type", asJSON, "Sec-Fetch-Site", "cross-site"}, 403},
		{"a sibling", "POST", "/console/ask/dead.replay", "{}", []string{"Content-Type", asJSON, "Sec-Fetch-Site", "same-site"}, 403},
		{"another origin", "POST", "/console/ask/dead.replay", "{}", []string{"Content-Type", asJSON, "Origin", "http://evil.example"}, 403},
		{"a watcher elsewhere", "GET", "/console/events", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"too large", "POST", "/console/ask/status", strings.Repeat(" ", maxRequest+1), []string{"Content-Type", asJSON}, 400},
	} {
		if status, text, _ := p.do(test.method, test.path, test.body, test.headers...); status != test.want {
			t.Errorf("%s = %d %s, want %d", test.name, status, text, test.want)
		}
	}
	if n := p.operator.count(); n != 3 {
		t.Errorf("the operator was asked %d times, want 3", n)
	}
}

func TestATokenIsAskedForWhereThereIsOne(t *testing.T) {
	p := serve(t, "s3cret")
	for _, path := range []string{"/console/events", "/console/session"} {
		if status, _, _ := p.do("GET", path, ""); status != 401 {
			t.Errorf("%s without the token = %d", path, status)
		}
	}
	if status, _, _ := p.do("POST", "/console/ask/status", "{}", "Content-Type", asJSON); status != 401 {
		t.Errorf("a query without the token = %d", status)
	}
	if status, _, _ := p.do("GET", "/", ""); status != 200 {
		t.Errorf("the page without the token = %d", status)
	}
	if status, _, _ := p.do("POST", "/console/ask/status", "{}", "Content-Type", asJSON, "Authorization", "Bearer s3cret"); status != 200 {
		t.Errorf("a query with the token = %d", status)
	}
	if status, _, header := p.do("POST", "/console/login", `{"token":"guess"}`, "Content-Type", asJSON); status != 401 || len(cookies(header)) != 0 {
		t.Errorf("a wrong login = %d %v", status, cookies(header))
	}
	status, _, header := p.do("POST", "/console/login", `{"token":" s3cret\n"}`, "Content-Type", asJSON)
	if status != 200 || len(cookies(header)) != 1 {
		t.Fatalf("the login = %d %v", status, cookies(header))
	}
	c := cookies(header)[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || strings.Contains(c.Value, "s3cret") {
		t.Errorf("the cookie is %v", c)
	}
	in := func() int {
		status, _, _ := p.do("POST", "/console/ask/status", "{}", "Content-Type", asJSON, "Cookie", c.Name+"="+c.Value)
		return status
	}
	if got := in(); got != 200 {
		t.Errorf("a query in a session = %d", got)
	}
	p.token.Store("another")
	if got := in(); got != 401 {
		t.Errorf("a query in a session of another token = %d", got)
	}
	p.token.Store("s3cret")
	p.do("POST", "/console/logout", "{}", "Content-Type", asJSON, "Cookie", c.Name+"="+c.Value)
	if got := in(); got != 401 {
		t.Errorf("a query after the logout = %d", got)
	}
	tries := 0
	for ; tries < 100; tries++ {
		if status, _, _ := p.do("POST", "/console/login", `{"token":"guess"}`, "Content-Type", asJSON); status == 429 {
			break
		}
	}
	if tries == 100 {
		t.Error("a token can be guessed without a limit")
	}
}

func TestWhatFlowsIsToldWithoutBodies(t *testing.T) {
	p := serve(t, "")
	p.publish("cx.message.created", `{"content":"a secret text"}`, "Nats-Msg-Id", "e1", "Cx-Conversation-Id", "42", "Cx-Message-Id", "7", "Cx-Origin", "customer")
	p.publish("cx.cmd.message.send", `{"conversation_id":42,"content":"a secret text"}`, "Nats-Msg-Id", "c1")
	p.publish("cx.result.message.send.c1", `{"command_id":"c1","status":"unknown","reason":"outcome_unknown","conversation_id":42,"attempts":2,
		"received_at":"2026-01-01T00:00:00.000Z","finished_at":"2026-01-01T00:00:01.500Z","response":{"content":"a secret text"}}`)
	p.publish("cx.dead.cmd.message.send", `{"conversation_id":"42","content":"a secret text"}`, "Cx-Command-Id", "c1", "Cx-Status", "unknown", "Cx-Reason", "outcome_unknown")
	w := p.open()
	rows := w.rows(4)
	byKind := map[string]row{}
	for _, r := range rows {
		byKind[r.Kind] = r
		if r.Conversation != "42" || r.Time.IsZero() {
			t.Errorf("row %+v", r)
		}
	}
	if r := byKind[kindEvent]; r.ID != "e1" || r.Origin != "customer" || r.Message != "7" || r.Subject != "cx.message.created" {
		t.Errorf("event %+v", r)
	}
	if r := byKind[kindResult]; r.ID != "c1" || r.Status != "unknown" || r.Attempts != 2 || r.Took != 1500 {
		t.Errorf("result %+v", r)
	}
	if r := byKind[kindDead]; r.ID != "c1" || r.Reason != "outcome_unknown" {
		t.Errorf("dead letter %+v", r)
	}
	text, err := json.Marshal(rows)
	if err != nil || strings.Contains(string(text), "secret") {
		t.Errorf("a body is told: %s (%v)", text, err)
	}
	var state map[string]any
	if w.next("state", &state); state["status"] == nil || state["lanes"] == nil {
		t.Errorf("state = %v", state)
	}
	// Whoever comes later begins with the same.
	var hello struct{ Rows []row }
	if p.open().next("hello", &hello); len(hello.Rows) < 4 {
		t.Errorf("another page begins with %d rows", len(hello.Rows))
	}
}

func TestABurstIsSampledAndCounted(t *testing.T) {
	p := serve(t, "")
	p.publish("cx.message.created", "{}", "Nats-Msg-Id", "first")
	w := p.open()
	w.rows(1)
	const burst = 1000
	var pending []jetstream.PubAckFuture
	for range burst {
		ack, err := p.js.PublishAsync("cx.message.created", []byte(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, ack)
	}
	for _, ack := range pending {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			t.Fatal(err)
		}
	}
	counted, shown := uint64(0), 0
	for counted < burst {
		var one news
		w.next("feed", &one)
		for _, c := range one.Counts {
			counted += c.New
			if c.Shown > mostRows {
				t.Errorf("one look shows %d of %s", c.Shown, c.Kind)
			}
			shown += c.Shown
		}
	}
	if counted != burst || shown == 0 {
		t.Errorf("%d of %d are counted, and %d shown", counted, burst, shown)
	}
}

func TestNothingIsLookedAtWhenNobodyWatches(t *testing.T) {
	p := serve(t, "")
	p.open().end()
	natstest.Eventually(t, "the watcher to be gone", p.hub.empty)
	w := p.open() // another one begins it anew
	var state map[string]any
	w.next("state", &state)
	w.end()
	natstest.Eventually(t, "the last watcher to be gone", p.hub.empty)
	before := p.feed.recent()
	natstest.Eventually(t, "the rows to be forgotten", func() bool { return len(p.feed.recent()) == 0 })
	if before == nil {
		t.Error("rows are null")
	}
}

func TestWatchersAreBounded(t *testing.T) {
	p := serve(t, "")
	for range mostWatchers {
		p.open()
	}
	if status, text, _ := p.do("GET", "/console/events", ""); status != 503 || !strings.Contains(text, "close one") {
		t.Errorf("one more = %d %s", status, text)
	}
}

// TestFiguresAreAskedForWhileSomebodyWatches and only then, as others are asked for some of them.
func TestFiguresAreAskedForWhileSomebodyWatches(t *testing.T) {
	asked := 0
	c := New(Deps{Metrics: prometheus.NewRegistry(), Refresh: func(context.Context) { asked++ }, Log: slog.New(slog.DiscardHandler)})
	measure := func(want int) {
		t.Helper()
		if err := c.measure(t.Context()); err != nil || asked != want {
			t.Errorf("%v, asked %d times", err, asked)
		}
	}
	measure(0)
	one, err := c.hub.join()
	if err != nil {
		t.Fatal(err)
	}
	measure(1)
	one.leave()
	measure(1)
}
