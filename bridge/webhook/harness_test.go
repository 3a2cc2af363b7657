package webhook

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/spool"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const (
	tenant = "acme.cx.sangoma.com"
	token  = "path-token-1"
)

// patience is how long a test waits for something that must happen.
const patience = 120 * time.Second

var errAway = errors.New("the bus is away")

// bus stores messages in memory, once for each id, unless it is told to fail.
type bus struct {
	mu       sync.Mutex
	fail     func(msg *nats.Msg) error // before storing
	lose     func(msg *nats.Msg) error // after storing: the acknowledgement is lost
	stored   []*nats.Msg
	ids      map[string]bool
	expected []string // stream that each attempt was meant for
}

func newBus() *bus { return &bus{ids: make(map[string]bool)} }

func (b *bus) PublishMsg(ctx context.Context, msg *nats.Msg, _ ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b.expected = append(b.expected, msg.Header.Get(headerExpectedStream))
	if b.fail != nil {
		if err := b.fail(msg); err != nil {
			return nil, err
		}
	}
	id := msg.Header.Get(subjects.HeaderMsgID)
	again := b.ids[id]
	if !again {
		b.ids[id] = true
		b.stored = append(b.stored, clone(msg))
	}
	if b.lose != nil {
		if err := b.lose(msg); err != nil {
			return nil, err
		}
	}
	return &jetstream.PubAck{Stream: "CX_EVENTS", Sequence: uint64(len(b.stored)), Duplicate: again}, nil
}

// clone copies a message, as the receiver uses its memory again.
func clone(msg *nats.Msg) *nats.Msg {
	return &nats.Msg{Subject: msg.Subject, Header: nats.Header(http.Header(msg.Header).Clone()), Data: bytes.Clone(msg.Data)}
}

func (b *bus) set(fail func(*nats.Msg) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fail = fail
}

func (b *bus) messages() []*nats.Msg {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.stored)
}

func away(*nats.Msg) error { return errAway }

// memorySpool is a spool in memory.
type memorySpool struct {
	mu       sync.Mutex
	most     int
	messages []*nats.Msg
	aside    []*nats.Msg
	added    chan struct{}
}

func newMemorySpool(most int) *memorySpool {
	return &memorySpool{most: most, added: make(chan struct{}, 1)}
}

func (s *memorySpool) Put(_ context.Context, msg *nats.Msg) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.messages) >= s.most {
		return spool.ErrFull
	}
	s.messages = append(s.messages, clone(msg))
	select {
	case s.added <- struct{}{}:
	default:
	}
	return nil
}

func (s *memorySpool) Next(ctx context.Context) (*nats.Msg, func() error, error) {
	for {
		s.mu.Lock()
		if len(s.messages) > 0 {
			msg := s.messages[0]
			s.mu.Unlock()
			return msg, s.drop, nil
		}
		s.mu.Unlock()
		select {
		case <-s.added:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

func (s *memorySpool) drop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages = s.messages[1:]
	return nil
}

func (s *memorySpool) Stats() spool.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return spool.Stats{Messages: uint64(len(s.messages))}
}

// harness is a receiver on fakes.
type harness struct {
	*Receiver
	bus *bus
	log *logged
}

// setup makes a receiver; change may alter the configuration and what it works with.
func setup(t testing.TB, change func(*Config, *Deps)) *harness {
	t.Helper()
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	cfg := DefaultConfig()
	cfg.PathTokens = []string{token}
	cfg.ReadHeaderTimeout, cfg.ReadTimeout, cfg.IdleTimeout = patience, patience, patience
	h := &harness{bus: newBus(), log: &logged{}}
	deps := Deps{
		Names: names, Tenant: tenant, Publisher: h.bus, MaxPayload: func() int64 { return 8 << 20 },
		Log: slog.New(slog.NewTextHandler(h.log, nil)),
	}
	if change != nil {
		change(&cfg, &deps)
	}
	cfg.Check(func(key, rule string, value any) { t.Errorf("configuration: %s %s (%v)", key, rule, value) })
	if h.Receiver, err = New(cfg, deps); err != nil {
		t.Fatal(err)
	}
	return h
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// lines counts the lines but for those of the outcome of each request.
func (l *logged) lines() int {
	return strings.Count(l.String(), "\n") - strings.Count(l.String(), `msg="webhook refused"`)
}

// post sends a body with the right token, and headers given as name, value.
func (h *harness) post(body string, headers ...string) *httptest.ResponseRecorder {
	return h.send(http.MethodPost, Path+token, body, headers...)
}

func (h *harness) send(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	req := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.Handler().ServeHTTP(w, req)
	return w
}

func (h *harness) only(t testing.TB) *nats.Msg {
	t.Helper()
	all := h.bus.messages()
	if len(all) != 1 {
		t.Fatalf("stored %d messages, want 1", len(all))
	}
	return all[0]
}

// eventually waits for something that must happen, however long it takes.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(patience)
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// run runs something until the end of the test, which fails if it returns an error.
func run(t testing.TB, what func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- what(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// nowhere acknowledges without storing.
type nowhere struct{}

func (nowhere) PublishMsg(context.Context, *nats.Msg, ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	return &jetstream.PubAck{}, nil
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header       { return d.header }
func (*discard) Write(p []byte) (int, error) { return len(p), nil }
func (*discard) WriteHeader(int)             {}

type closer struct{ io.Reader }

func (closer) Close() error { return nil }

func (s *memorySpool) PutAside(msg *nats.Msg, _ string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aside = append(s.aside, msg)
	return "aside", nil
}
