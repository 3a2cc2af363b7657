package lease

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const (
	bucketName = "CX_BRIDGE"
	keyName    = "active"
	long       = 30 * time.Minute // a lease that no test sees expire
)

var errLost = errors.New("the answer was lost")

// bus is a bucket on a server, or in a cluster.
type bus struct {
	js jetstream.JetStream
	kv jetstream.KeyValue
}

func bucketConfig(replicas int) jetstream.KeyValueConfig {
	return jetstream.KeyValueConfig{Bucket: bucketName, LimitMarkerTTL: time.Minute, Replicas: replicas}
}

// within is a context that a passing test never sees the end of.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func newBus(t *testing.T, js jetstream.JetStream, replicas int) *bus {
	t.Helper()
	var kv jetstream.KeyValue
	natstest.Repeat(t, "make the bucket", func(ctx context.Context) (err error) {
		kv, err = js.CreateOrUpdateKeyValue(ctx, bucketConfig(replicas))
		return err
	})
	return &bus{js: js, kv: kv}
}

func startBus(t *testing.T) (*bus, *natstest.Server) {
	t.Helper()
	s := natstest.Start(t)
	return newBus(t, s.JetStream(t), 1), s
}

// lease returns one with attempts that never run out on a slow machine.
func (b *bus) lease(holder string, ttl time.Duration, log *slog.Logger) *Lease {
	l := New(b.js, b.kv, keyName, holder, ttl, log)
	l.attempt = natstest.Patience
	return l
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// acquire waits for the lease and releases it at the end of the test.
func acquire(t *testing.T, l *Lease) *Term {
	t.Helper()
	term, err := l.Acquire(within(t))
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	t.Cleanup(func() { giveBack(t, term) })
	return term
}

func giveBack(t *testing.T, term *Term) {
	t.Helper()
	if err := term.Release(within(t)); err != nil {
		t.Errorf("release: %v", err)
	}
}

// unkept acquires without the goroutine that renews, for tests that do so
// step by step.
func unkept(t *testing.T, l *Lease) *Term {
	t.Helper()
	c := &candidate{Lease: l, term: newTermName()}
	term, err := c.try(within(t))
	if err != nil || term == nil {
		t.Fatalf("acquire: %v, %v", term, err)
	}
	close(term.kept)
	return term
}

// wantEnd waits for the end of a term and checks its reason.
func wantEnd(t *testing.T, term *Term, want error) {
	t.Helper()
	select {
	case <-term.Done():
	case <-within(t).Done():
		t.Fatal("the term does not end")
	}
	if !errors.Is(term.Err(), want) {
		t.Errorf("end: got %v, want %v", term.Err(), want)
	}
	if term.Valid(0) {
		t.Error("valid after its end")
	}
}

// stored is what the bucket has under the key.
func (b *bus) stored(t *testing.T) *jetstream.RawStreamMsg {
	t.Helper()
	stream, err := b.js.Stream(within(t), "KV_"+bucketName)
	if err != nil {
		t.Fatalf("stream: %v", err)
	}
	msg, err := stream.GetLastMsgForSubject(within(t), "$KV."+bucketName+"."+keyName)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return msg
}

// line is a publisher that fails on request.
type line struct {
	Publisher
	mode atomic.Int32
}

const (
	works int32 = iota
	requestLost
	answerLost
)

// PublishMsg loses the request or the answer, as told.
func (l *line) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	mode := l.mode.Load()
	if mode == requestLost {
		return nil, errLost
	}
	ack, err := l.Publisher.PublishMsg(ctx, msg, opts...)
	if mode == answerLost && err == nil {
		return nil, errLost
	}
	return ack, err
}

// handClock is a clock that a test moves.
type handClock struct{ now atomic.Int64 }

func (h *handClock) read() time.Duration { return time.Duration(h.now.Load()) }
func (h *handClock) add(d time.Duration) { h.now.Add(int64(d)) }

// logBook is what was logged.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write is part of io.Writer.
func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBook) logger() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

func (b *logBook) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buf.String(), text)
}
