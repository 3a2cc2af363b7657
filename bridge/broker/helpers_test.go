package broker_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func names(t *testing.T) subjects.Names {
	t.Helper()
	n, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func settings() subjects.StreamSettings {
	return subjects.StreamSettings{
		Replicas: 1, EventsMaxAge: 168 * time.Hour, ResultsMaxAge: 24 * time.Hour, DeadMaxAge: 720 * time.Hour, LedgerTTL: 72 * time.Hour,
		DuplicateWindow: time.Hour,
	}
}

// patient is a context that a passing test never sees the end of.
func patient(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func external(url string) broker.Config {
	c := broker.DefaultConfig()
	c.Mode, c.URL = broker.External, url
	return c
}

func inProcess(t *testing.T) broker.Config {
	t.Helper()
	c := broker.DefaultConfig()
	c.Embedded.Listen, c.Embedded.StoreDir, c.Embedded.Sync = "", t.TempDir(), "1m"
	return c
}

func open(t *testing.T, c broker.Config, change ...func(*broker.Options)) *broker.Broker {
	t.Helper()
	o := broker.Options{Names: names(t), Settings: settings(), Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&o)
	}
	b, err := broker.Open(patient(t), c, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBroker(t, b) })
	return b
}

func closeBroker(t *testing.T, b *broker.Broker) {
	t.Helper()
	// The context of the test has ended when its clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func ready(t *testing.T, b *broker.Broker) {
	t.Helper()
	if err := b.Ready(patient(t)); err != nil {
		t.Fatalf("ready: %v", err)
	}
}

func create(t *testing.T, js jetstream.JetStream, config jetstream.StreamConfig) {
	t.Helper()
	natstest.CreateStream(t, js, config)
}

// record is a log that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(line []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(line)
}

func (r *record) count(part string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.text.String(), part)
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }
