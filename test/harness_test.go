package test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

// patience is how long a test waits for anything; a passing run never gets near it.
const patience = natstest.Patience

// Two endpoints, as during a rotation of path tokens.
const (
	pathToken  = "first-path-token-0123456789"
	otherToken = "other-path-token-9876543210"
	tenant     = cxsim.DefaultTenant
)

// world is a simulated CX and the configuration of bridges to it. Nothing in the configuration gives up before the test does, and nothing
// limits calls, unless a test asks for it.
type world struct {
	t   *testing.T
	sim *cxsim.Sim
	cfg bridge.Config
	bus *natstest.Server // nil if the bus is in the bridge
	log *slog.Logger     // nil: the test's output
	how []bridge.Option
}

func newWorld(t *testing.T, opt cxsim.Options, changes ...func(*bridge.Config)) *world {
	t.Helper()
	opt.WebhookAttempts, opt.RetryWait = -1, 20*time.Millisecond
	if opt.MessagesPerMinute == 0 {
		opt.MessagesPerMinute = -1
	}
	sim := cxsim.New(opt)
	t.Cleanup(sim.Close)
	base, err := sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	cfg := bridge.DefaultConfig()
	cfg.CX.BaseURL, cfg.CX.TenantDomain, cfg.CX.AccessToken = base, tenant, cxsim.DefaultToken
	cfg.CX.Timeout, cfg.CX.RatePerSecond = patience, 0
	cfg.NATS.Embedded.Listen, cfg.NATS.Embedded.StoreDir, cfg.NATS.Embedded.Sync = "127.0.0.1:0", t.TempDir(), "1m"
	cfg.Webhook.Listen, cfg.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Webhook.PathTokens = []string{pathToken, otherToken}
	cfg.Webhook.AttemptTimeout, cfg.Webhook.StoreTimeout, cfg.Webhook.ReadTimeout = patience/4, patience, patience
	cfg.Commands.RetryInitial, cfg.Commands.RetryMax, cfg.Commands.RetryFor = 5*time.Millisecond, 50*time.Millisecond, time.Hour
	cfg.Commands.EchoWait, cfg.Commands.LeaseTTL, cfg.RPC.Timeout, cfg.Grace = patience, patience, patience, patience
	for _, change := range changes {
		change(&cfg)
	}
	return &world{t: t, sim: sim, cfg: cfg}
}

// external moves the bus out of the bridge, into a server of its own.
func (w *world) external() *world {
	w.bus = natstest.Start(w.t)
	w.cfg.NATS.Mode, w.cfg.NATS.URL = broker.External, w.bus.URL
	return w
}

// conversation begins a conversation that a customer opened, in an inbox that takes messages of both directions.
func (w *world) conversation(name string) int64 {
	w.t.Helper()
	c, err := w.sim.NewConversation(cxsim.Visitor{Name: name, Email: name + "@example.test", InboxID: w.sim.InboxID(cxsim.ChannelAPI)})
	if err != nil {
		w.t.Fatal(err)
	}
	return c.ID
}

// running is a bridge that was started.
type running struct {
	*bridge.Bridge
	t       *testing.T
	prefix  string // of all subjects
	end     context.CancelFunc
	done    chan error
	stopped bool
}

// start starts a bridge, waits until it is ready, and lets the simulator send its webhooks there.
func (w *world) start() *running {
	w.t.Helper()
	r := w.begin()
	w.sim.Subscribe(r.url(pathToken), cxsim.V313.Subscriptions()...)
	return r
}

// begin starts a bridge and waits until it is ready.
func (w *world) begin() *running {
	w.t.Helper()
	if w.bus != nil {
		w.cfg.Spool.Dir = w.t.TempDir()
	}
	log := w.log
	if log == nil {
		log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	b, err := bridge.New(w.cfg, log, w.how...)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Bridge: b, t: w.t, prefix: w.cfg.Subjects.Prefix, end: cancel, done: make(chan error, 1)}
	go func() { r.done <- b.Run(ctx); close(r.done) }()
	w.t.Cleanup(r.stop)
	select {
	case <-r.Ready():
	case err := <-r.done:
		w.t.Fatalf("Run = %v", err)
	case <-time.After(patience):
		w.t.Fatal("the bridge does not get ready")
	}
	return r
}

// stop stops the bridge softly and fails the test if that does not go well. Before, what is on the bus is judged.
func (r *running) stop() {
	r.t.Helper()
	if !r.stopped {
		r.stopped = true
		r.judged()
	}
	r.end()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("Run = %v", err)
		}
	case <-time.After(2 * patience):
		r.t.Error("the bridge does not stop")
	}
}

func (r *running) url(token string) string {
	return "http://" + r.WebhookAddr().String() + "/webhooks/" + token
}

// post sends a webhook and wants it to be taken.
func (r *running) post(token, body string) {
	r.t.Helper()
	if a := request(r.t, http.MethodPost, r.url(token), strings.NewReader(body)); a.status != http.StatusOK || strings.TrimSpace(a.body) != "{}" {
		r.t.Errorf("webhook: %d %s", a.status, a.body)
	}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func request(t *testing.T, method, url string, body io.Reader, headers ...string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(text)}
}

// bot is a program that has a NATS client and knows the contract, and nothing else.
type bot struct {
	t       *testing.T
	conn    *nats.Conn
	js      jetstream.JetStream
	results *nats.Subscription
	got     map[string]*nats.Msg // by subject
}

// bot connects a bot to the bus of a running bridge. It hears of all results from now on.
func (r *running) bot() *bot { return newBot(r.t, r.NATSURL()) }

func newBot(t *testing.T, url string) *bot {
	t.Helper()
	conn, err := nats.Connect(url, nats.Timeout(patience), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	b := &bot{t: t, conn: conn, js: js, got: map[string]*nats.Msg{}}
	b.results = b.listen("cx.result.>")
	return b
}

// listen subscribes, and returns when the server knows of it.
func (b *bot) listen(subject string) *nats.Subscription {
	b.t.Helper()
	sub, err := b.conn.SubscribeSync(subject)
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(-1, -1), b.conn.FlushTimeout(patience))
	}
	if err != nil {
		b.t.Fatal(err)
	}
	return sub
}

// publish publishes a message and returns its sequence number. Headers come in pairs.
func (b *bot) publish(subject, body string, headers ...string) uint64 {
	b.t.Helper()
	m := nats.NewMsg(subject)
	m.Data = []byte(body)
	for i := 0; i+1 < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	ack, err := b.js.PublishMsg(b.t.Context(), m)
	if err != nil {
		b.t.Fatalf("publish on %s: %v", subject, err)
	}
	return ack.Sequence
}

// command publishes a command with an id.
func (b *bot) command(kind, id, body string, headers ...string) {
	b.t.Helper()
	b.publish("cx.cmd."+kind, body, append([]string{"Nats-Msg-Id", id}, headers...)...)
}

// say publishes a message.send with an id.
func (b *bot) say(id string, conversation int64, text string, headers ...string) {
	b.t.Helper()
	b.command("message.send", id, fmt.Sprintf(`{"conversation_id":%d,"content":%q}`, conversation, text), headers...)
}

// result is the body of a result.
type result struct {
	CommandID      string          `json:"command_id"`
	Command        string          `json:"command"`
	Status         string          `json:"status"`
	Reason         string          `json:"reason"`
	Detail         string          `json:"detail"`
	Tenant         string          `json:"tenant"`
	ConversationID json.RawMessage `json:"conversation_id"`
	MessageID      json.RawMessage `json:"message_id"`
	ContactID      json.RawMessage `json:"contact_id"`
	Attempts       int             `json:"attempts"`
	HTTPStatus     int             `json:"http_status"`
	ReceivedAt     string          `json:"received_at"`
	FinishedAt     string          `json:"finished_at"`
	Response       json.RawMessage `json:"response"`
}

// resultMembers are those of the contract.
var resultMembers = []string{
	"attempts", "command", "command_id", "contact_id", "conversation_id", "detail", "finished_at", "http_status", "message_id", "reason",
	"received_at", "response", "status", "tenant",
}

// wait waits for the result of a command and checks that it is as the contract says.
func (b *bot) wait(kind, id string) result {
	b.t.Helper()
	subject := "cx.result." + kind + "." + token(id)
	limit := time.Now().Add(patience)
	for b.got[subject] == nil {
		m, err := b.results.NextMsg(time.Until(limit))
		if err != nil {
			b.t.Fatalf("no result on %s: %v", subject, err)
		}
		if first := b.got[m.Subject]; first != nil && string(first.Data) != string(m.Data) {
			b.t.Errorf("two results on %s:\n%s\n%s", m.Subject, first.Data, m.Data)
		}
		b.got[m.Subject] = m
	}
	return checkResult(b.t, b.got[subject], kind, id)
}

// said waits for the result of a message.send and wants its status.
func (b *bot) said(id, status, reason string) result {
	b.t.Helper()
	r := b.wait("message.send", id)
	if r.Status != status || r.Reason != reason {
		b.t.Errorf("%s: status %q, reason %q (%s); want %q, %q", id, r.Status, r.Reason, r.Detail, status, reason)
	}
	return r
}

func checkResult(t *testing.T, m *nats.Msg, kind, id string) result {
	t.Helper()
	var members map[string]json.RawMessage
	var r result
	if err := errors.Join(json.Unmarshal(m.Data, &members), json.Unmarshal(m.Data, &r)); err != nil {
		t.Fatalf("%s: %v", m.Data, err)
	}
	if names := slices.Sorted(maps.Keys(members)); !slices.Equal(names, resultMembers) {
		t.Errorf("the result of %s has the members %v", id, names)
	}
	if r.Command != kind || r.CommandID != id || r.Tenant != tenant || (r.Status == "done") != (r.Reason == "") {
		t.Errorf("result of %s %s: %s", kind, id, m.Data)
	}
	received, err := time.Parse("2006-01-02T15:04:05.000Z", r.ReceivedAt)
	finished, err2 := time.Parse("2006-01-02T15:04:05.000Z", r.FinishedAt)
	if err != nil || err2 != nil || finished.Before(received) {
		t.Errorf("result of %s: received_at %q, finished_at %q", id, r.ReceivedAt, r.FinishedAt)
	}
	for name, want := range map[string]string{
		"Cx-Command-Id": id, "Cx-Status": r.Status, "Cx-Tenant": tenant, "content-type": "application/json",
		"ce-specversion": "1.0", "ce-source": "//" + tenant, "ce-type": "cx.result." + kind, "ce-time": r.FinishedAt,
	} {
		if got := m.Header.Get(name); got != want {
			t.Errorf("result of %s: header %s is %q; want %q", id, name, got, want)
		}
	}
	if m.Header.Get("ce-id") == "" {
		t.Errorf("result of %s has no ce-id", id)
	}
	return r
}

// stored reads a whole stream.
func (b *bot) stored(stream string) []*jetstream.RawStreamMsg {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := max(s.CachedInfo().State.FirstSeq, 1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(b.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			b.t.Fatalf("%s, message %d: %v", stream, seq, err)
		}
		all = append(all, m)
	}
	return all
}

// kept lists the subjects of a stream's messages.
func (b *bot) kept(stream string) []string {
	b.t.Helper()
	var all []string
	for _, m := range b.stored(stream) {
		all = append(all, m.Subject)
	}
	return all
}

// count is how many messages a stream has.
func (b *bot) count(stream string) int {
	b.t.Helper()
	s, err := b.js.Stream(b.t.Context(), stream)
	if err != nil {
		b.t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

// events waits until that many events are stored and returns them.
func (b *bot) events(n int) []*jetstream.RawStreamMsg {
	b.t.Helper()
	natstest.Eventually(b.t, fmt.Sprintf("%d events to be stored", n), func() bool { return b.count("CX_EVENTS") >= n })
	all := b.stored("CX_EVENTS")
	if len(all) != n {
		b.t.Errorf("%d events are stored; want %d", len(all), n)
	}
	return all
}

// oneResultEach wants so many results in the stream, each on a subject of its own and with the headers of the contract.
func (b *bot) oneResultEach(want int) {
	b.t.Helper()
	natstest.Eventually(b.t, "the results to be stored", func() bool { return b.count("CX_RESULTS") >= want })
	seen := map[string]bool{}
	for _, m := range b.stored("CX_RESULTS") {
		if seen[m.Subject] {
			b.t.Errorf("a second result on %s: %s", m.Subject, m.Data)
		}
		if m.Header.Get("Nats-Msg-Id") == "" || m.Header.Get("Nats-Msg-Id") != m.Header.Get("ce-id") {
			b.t.Errorf("%s: Nats-Msg-Id %q, ce-id %q", m.Subject, m.Header.Get("Nats-Msg-Id"), m.Header.Get("ce-id"))
		}
		seen[m.Subject] = true
	}
	if len(seen) != want {
		b.t.Errorf("%d commands have a result; want %d", len(seen), want)
	}
}

// letter returns the dead letter of a command whose result has come.
func (b *bot) letter(id string) *jetstream.RawStreamMsg {
	b.t.Helper()
	for _, m := range b.stored("CX_DEAD") {
		if m.Header.Get("Cx-Command-Id") == id {
			return m
		}
	}
	b.t.Fatalf("no dead letter of %s", id)
	return nil
}

// letters wants so many dead letters.
func (b *bot) letters(want int) {
	b.t.Helper()
	if n := b.count("CX_DEAD"); n != want {
		b.t.Errorf("%d dead letters; want %d", n, want)
	}
}

// called waits until the API was asked for something that satisfies the condition.
func (w *world) called(what string, holds func(cxsim.Journal) bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.sim.WaitFor(ctx, holds); err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// delivered waits until every event of the simulator has been taken.
func (w *world) delivered() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.sim.WaitIdle(ctx); err != nil {
		w.t.Fatalf("deliveries: %v", err)
	}
}

// wantMessages wants exactly these texts in a conversation, as its customer sees them.
func (w *world) wantMessages(conversation int64, want ...string) {
	w.t.Helper()
	if got := w.sim.Journal().Messages(conversation).Contents(); !slices.Equal(got, want) {
		w.t.Errorf("conversation %d has %q; want %q", conversation, got, want)
	}
}
