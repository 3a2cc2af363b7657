package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// attempt is how long one request to a server may take that may be restarting; it is repeated.
const attempt = 5 * time.Second

const testTenant = "acme.cx.sangoma.com"

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

// bus is a NATS server with the bridge's streams.
type bus struct {
	server *natstest.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	names  subjects.Names
	kv     jetstream.KeyValue
	bucket jetstream.KeyValue // of positions
}

func newBus(t *testing.T) *bus {
	t.Helper()
	server := natstest.Start(t)
	b := newBusOn(t, server.Conn(t), 1)
	b.server = server
	return b
}

// newBusOn makes the bridge's streams and buckets on a server or a cluster.
func newBusOn(t *testing.T, conn *nats.Conn, replicas int) *bus {
	t.Helper()
	names, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	settings := subjects.StreamSettings{
		Replicas: replicas, EventsMaxAge: time.Hour, ResultsMaxAge: time.Hour, DeadMaxAge: time.Hour, LedgerTTL: time.Hour, DuplicateWindow: time.Minute,
	}
	for _, s := range names.Streams(settings) {
		config := jetstream.StreamConfig{
			Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, Replicas: s.Replicas, Duplicates: s.DuplicateWindow, AllowDirect: s.AllowDirect,
			AllowMsgTTL: s.AllowMsgTTL, MaxMsgsPerSubject: s.MaxMsgsPerSubject, DiscardNewPerSubject: s.DiscardNewPerSubject,
			AllowMsgSchedules: s.AllowMsgSchedules,
		}
		if s.DiscardNew {
			config.Discard = jetstream.DiscardNew
		}
		natstest.CreateStream(t, js, config)
	}
	b := &bus{conn: conn, js: js, names: names}
	for name, bucket := range map[string]*jetstream.KeyValue{names.ContactsBucket(): &b.kv, names.BridgeBucket(): &b.bucket} {
		natstest.Repeat(t, "create bucket "+name, func(ctx context.Context) error {
			*bucket, err = js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, Replicas: replicas})
			return err
		})
	}
	return b
}

func (b *bus) command(t *testing.T, kind subjects.Kind, id, body string, header ...string) {
	t.Helper()
	m := &nats.Msg{Subject: b.names.Command(kind), Data: []byte(body), Header: nats.Header{}}
	if id != "" {
		m.Header.Set(subjects.HeaderMsgID, id)
	}
	for i := 0; i+1 < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func (b *bus) send(t *testing.T, id string, conversation int, content string, header ...string) {
	t.Helper()
	b.command(t, subjects.MessageSend, id, fmt.Sprintf(`{"conversation_id":%d,"content":%q}`, conversation, content), header...)
}

// result waits for the result of a command.
func (b *bus) result(t *testing.T, kind subjects.Kind, id string) subjects.Result {
	t.Helper()
	var r subjects.Result
	natstest.Eventually(t, "for the result of "+id, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		stream, err := b.js.Stream(ctx, b.names.ResultsStream())
		if err != nil {
			return false
		}
		m, err := stream.GetLastMsgForSubject(ctx, b.names.Result(kind, id))
		return err == nil && json.Unmarshal(m.Data, &r) == nil
	})
	return r
}

func (b *bus) count(t *testing.T, stream string) int {
	t.Helper()
	s, err := b.js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return int(s.CachedInfo().State.Msgs)
}

func (b *bus) letters(t *testing.T) int { return b.count(t, b.names.DeadStream()) }

// settled waits until the consumer of an epoch has everything acknowledged.
func (b *bus) settled(t *testing.T, epoch uint64) {
	t.Helper()
	natstest.Eventually(t, "for all acknowledgements", func() bool {
		stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
		if err != nil {
			return false
		}
		c, err := stream.Consumer(t.Context(), consumerName(epoch))
		return err == nil && c.CachedInfo().AckFloor.Stream == stream.CachedInfo().State.LastSeq
	})
}

func (b *bus) event(t testing.TB, id, conversation int, kind, content string, header ...string) {
	body := fmt.Sprintf(`{"event":"message_created","id":%d,"content":%q,"message_type":%q,"conversation":{"id":%d}}`, id, content, kind, conversation)
	m := &nats.Msg{Subject: b.names.Event(subjects.EventMessageCreated), Data: []byte(body), Header: nats.Header{
		subjects.HeaderEvent: {subjects.EventMessageCreated}, subjects.HeaderMessageID: {fmt.Sprint(id)},
		subjects.HeaderConversationID: {fmt.Sprint(conversation)}, subjects.HeaderMessageType: {kind},
		subjects.HeaderMsgID: {fmt.Sprintf("message-%d", id)}, subjects.HeaderOrigin: {string(subjects.OriginBot)},
	}}
	for i := 0; i+1 < len(header); i += 2 {
		m.Header.Set(header[i], header[i+1])
	}
	natstest.Eventually(t, "to publish an event", func() bool { // the server may be restarting
		ctx, cancel := context.WithTimeout(context.Background(), attempt)
		defer cancel()
		_, err := b.js.PublishMsg(ctx, m)
		return err == nil
	})
}

// term is a term that ends when the test says so.
type term struct {
	epoch   uint64
	invalid atomic.Bool
	done    chan struct{}
}

func newTerm(epoch uint64) *term { return &term{epoch: epoch, done: make(chan struct{})} }

func (t *term) Epoch() uint64            { return t.epoch }
func (t *term) Valid(time.Duration) bool { return !t.invalid.Load() }
func (t *term) Done() <-chan struct{}    { return t.done }

// deed is one thing that the fake platform did.
type deed struct {
	op           Operation
	conversation string
	content      string
	id           int64
}

// behaviour is what the fake platform makes of a call.
type behaviour struct {
	refuse error // answered instead of doing anything
	lose   error // answered although it was done
	silent bool  // no event tells of it
	hold   chan struct{}
}

// platform is a fake of the API, and of the way of its events to the bus.
type platform struct {
	t      *testing.T
	bus    *bus
	behave func(op Operation, conversation, content string, try int) behaviour

	mu     sync.Mutex
	tries  map[string]int
	deeds  []deed
	called chan struct{}
	last   int64
}

func newPlatform(t *testing.T, b *bus) *platform {
	return &platform{
		t: t, bus: b, tries: map[string]int{}, last: 9000, called: make(chan struct{}, 10000),
		behave: func(Operation, string, string, int) behaviour { return behaviour{} },
	}
}

func (p *platform) do(ctx context.Context, op Operation, conversation, content string) (int64, error) {
	p.mu.Lock()
	key := string(op) + conversation + content
	p.tries[key]++
	b := p.behave(op, conversation, content, p.tries[key])
	p.mu.Unlock()
	p.called <- struct{}{}
	if b.hold != nil {
		select {
		case <-b.hold:
		case <-ctx.Done():
			return 0, &cxapi.Error{Op: string(op), Kind: cxapi.KindCancelled, Outcome: cxapi.OutcomeUnknown, Err: ctx.Err()}
		}
	}
	if b.refuse != nil {
		return 0, b.refuse
	}
	p.mu.Lock()
	p.last++
	id := p.last
	p.deeds = append(p.deeds, deed{op, conversation, content, id})
	p.mu.Unlock()
	if op == PostMessage && !b.silent {
		var c int
		if _, err := fmt.Sscan(conversation, &c); err != nil {
			p.t.Error(err)
		}
		p.bus.event(p.t, int(id), c, subjects.Outgoing, content)
	}
	return id, b.lose
}

func (p *platform) done() []deed {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]deed(nil), p.deeds...)
}

func (p *platform) attempts(op Operation, conversation, content string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tries[string(op)+conversation+content]
}

func ok(id int64) cxapi.Answer {
	return cxapi.Answer{Status: 200, Body: json.RawMessage(fmt.Sprintf(`{"id":%d}`, id))}
}

func (p *platform) SendMessage(ctx context.Context, m cxapi.MessageParams) (*cxapi.Message, error) {
	id, err := p.do(ctx, PostMessage, m.ConversationID.String(), m.Content)
	if err != nil {
		return nil, err
	}
	return &cxapi.Message{Answer: ok(id), ID: cxapi.NumberID(id), ConversationID: m.ConversationID}, nil
}

func (p *platform) CreateConversation(ctx context.Context, c cxapi.ConversationParams) (*cxapi.Conversation, error) {
	id, err := p.do(ctx, CreateConversation, c.ContactID.String(), c.SourceID)
	if err != nil {
		return nil, err
	}
	return &cxapi.Conversation{Answer: ok(id), ID: cxapi.NumberID(id), ContactID: c.ContactID, InboxID: c.InboxID}, nil
}

func (p *platform) CreateContact(ctx context.Context, c cxapi.ContactParams) (*cxapi.Contact, error) {
	id, err := p.do(ctx, CreateContact, c.InboxID.String(), c.Email)
	if err != nil {
		return nil, err
	}
	return &cxapi.Contact{Answer: ok(id), ID: cxapi.NumberID(id)}, nil
}

func (p *platform) DeliverToAgent(ctx context.Context, id cxapi.ID) (*cxapi.Answer, error) {
	n, err := p.do(ctx, DeliverToAgent, id.String(), "")
	a := ok(n)
	return &a, err
}

func (p *platform) Finish(ctx context.Context, id cxapi.ID) (*cxapi.Answer, error) {
	n, err := p.do(ctx, FinishConversation, id.String(), "")
	a := ok(n)
	return &a, err
}

// Errors as the API client makes them.
var (
	errUnavailable = &cxapi.Error{Op: "POST messages/", Status: 503, Kind: cxapi.KindUnavailable, Outcome: cxapi.OutcomeLater}
	errTooFast     = &cxapi.Error{Op: "POST messages/", Status: 429, Kind: cxapi.KindRateLimited, Outcome: cxapi.OutcomeLater}
	errRefused     = &cxapi.Error{Op: "POST messages/", Kind: cxapi.KindConnection, Outcome: cxapi.OutcomeLater, Err: errors.New("refused")}
	errLost        = &cxapi.Error{Op: "POST messages/", Status: 500, Kind: cxapi.KindUnavailable, Outcome: cxapi.OutcomeUnknown, Ambiguous: true}
	errCut         = &cxapi.Error{Op: "POST conversations/", Kind: cxapi.KindConnection, Outcome: cxapi.OutcomeLater, Ambiguous: true, Err: errors.New("reset")}
	errNotFound    = &cxapi.Error{Op: "POST messages/", Status: 404, Kind: cxapi.KindNotFound, Outcome: cxapi.OutcomeNever}
	errTaken       = &cxapi.Error{Op: "POST contacts/", Status: 422, Kind: cxapi.KindRejected, Outcome: cxapi.OutcomeNever, Body: "Email has already been taken"}
	errFull        = &cxapi.Error{Op: "POST messages/", Status: 422, Kind: cxapi.KindRateLimited, Outcome: cxapi.OutcomeLater, Body: "Validation failed: Too many messages"}
)

func testConfig() Config {
	c := DefaultConfig()
	c.RatePerSecond, c.RetryInitial, c.RetryMax = 0, time.Millisecond, 20*time.Millisecond
	c.CallTimeout, c.EchoWait, c.MaxInFlight, c.MaxPending = natstest.Patience, natstest.Patience, 16, 1000
	c.RetryFor = natstest.Patience
	return c
}

func newRunner(t *testing.T, b *bus, api API, cfg Config) *Runner {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	r, err := New(cfg, Deps{
		Names: b.names, Tenant: testTenant, JetStream: b.js, Conn: b.conn, Ledger: ledger.New(b.js, b.names, log), API: api, Bucket: b.bucket,
		Contacts: NewKVContacts(b.kv, testTenant), Log: log, Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// running is a term that runs.
type running struct {
	*term
	stop, kill func()
	ended      chan error
}

// run begins a term, which is stopped softly at the end of the test.
func run(t *testing.T, r *Runner, epoch uint64) *running {
	t.Helper()
	soft, stop := context.WithCancel(context.Background())
	hard, kill := context.WithCancel(context.Background())
	x := &running{term: newTerm(epoch), stop: stop, kill: kill, ended: make(chan error, 1)}
	go func() { x.ended <- r.Run(soft, hard, x.term) }()
	t.Cleanup(func() {
		stop()
		kill()
		x.wait(t)
	})
	natstest.Eventually(t, "for the term to begin", func() bool { return r.Status().Active || len(x.ended) > 0 })
	return x
}

// crash ends a term as if the process had died: nothing is written any more.
func (x *running) crash(t *testing.T) {
	t.Helper()
	x.stop()
	x.kill()
	x.wait(t)
}

func (x *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-x.ended:
		x.ended <- err
		return err
	case <-time.After(natstest.Patience):
		t.Fatal("the term did not end")
		return nil
	}
}
