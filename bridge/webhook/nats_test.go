package webhook

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/spool"
	"github.com/cxbridge/cxbridge/subjects"
)

// streams makes the streams of events and dead letters on a real server.
func streams(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for name, of := range map[string][]string{"CX_EVENTS": {"cx.*.*"}, "CX_DEAD": {"cx.dead.*.>"}} {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: of, Storage: jetstream.FileStorage})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// contents returns all messages of a stream.
func contents(t *testing.T, js jetstream.JetStream, name string) (all []*nats.Msg) {
	t.Helper()
	stream, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, &nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
	}
	return all
}

// patient makes attempts long, so that none ends before the server answered.
func patient(c *Config) { c.AttemptTimeout, c.StoreTimeout = patience, 3*patience }

func TestEventsAndMalformedBodiesReachTheirStreams(t *testing.T) {
	js := natstest.Start(t).JetStream(t)
	streams(t, js)
	h := setup(t, func(c *Config, d *Deps) {
		patient(c)
		d.Publisher, d.MaxPayload = js, js.Conn().MaxPayload
	})
	for _, body := range []string{incoming, incoming, conversation} {
		if w := h.post(body); w.Code != http.StatusOK {
			t.Fatalf("answer %d: %s", w.Code, h.log)
		}
	}
	if w := h.post("not json"); w.Code != http.StatusBadRequest {
		t.Fatalf("answer %d: %s", w.Code, h.log)
	}
	events, dead := contents(t, js, "CX_EVENTS"), contents(t, js, "CX_DEAD")
	if len(events) != 2 || string(events[0].Data) != incoming || string(events[1].Data) != conversation {
		t.Errorf("%d events", len(events))
	}
	if got := events[0].Header.Get(subjects.HeaderOrigin); got != "customer" {
		t.Errorf("origin %q", got)
	}
	if len(dead) != 1 || string(dead[0].Data) != "not json" {
		t.Errorf("%d dead letters", len(dead))
	}
	large := incoming[:len(incoming)-1] + `,"x":"` + strings.Repeat("x", 1<<20) + `"}`
	checkProblem(t, h.post(large), http.StatusRequestEntityTooLarge)
}

func TestNoEventIsLostWhileTheServerRestarts(t *testing.T) {
	server := natstest.Start(t)
	js := server.JetStream(t)
	streams(t, js)
	disk := newMemorySpool(10000)
	h := setup(t, func(_ *Config, d *Deps) {
		d.Publisher, d.MaxPayload, d.Spool = js, js.Conn().MaxPayload, disk
	})
	run(t, h.Drain)

	const conversations, each = 4, 60
	send := func(phase int) { h.customers(t, conversations, phase*each, (phase+1)*each) }
	send(0)
	var meanwhile sync.WaitGroup
	meanwhile.Go(func() { send(1) })
	server.Stop()
	meanwhile.Wait()
	send(2)
	meanwhile.Go(func() { send(3) })
	server.Restart(t)
	meanwhile.Wait()
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	send(4)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	inOrder(t, contents(t, js, "CX_EVENTS"), conversations, 5*each)
}

// The bridge starts without the bus, takes events, is started again, and the bus comes at last.
func TestEventsSurviveARestartOfTheBridgeWhileTheServerIsAway(t *testing.T) {
	server := natstest.Start(t)
	js := server.JetStream(t)
	streams(t, js)
	server.Stop()
	cfg := spool.DefaultConfig()
	cfg.Dir = t.TempDir()
	start := func() (*harness, *spool.Spool) {
		disk, err := spool.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		return setup(t, func(c *Config, d *Deps) {
			c.StoreTimeout = patience
			d.Publisher, d.MaxPayload, d.Spool = js, js.Conn().MaxPayload, disk
		}), disk
	}
	const conversations, each = 3, 5
	h, disk := start()
	h.customers(t, conversations, 0, each)
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
	h, disk = start()
	t.Cleanup(func() {
		if err := disk.Close(); err != nil {
			t.Error(err)
		}
	})
	h.customers(t, conversations, each, 2*each)
	run(t, h.Drain)
	server.Restart(t)
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	h.customers(t, conversations, 2*each, 3*each)
	eventually(t, "the spool is empty", func() bool { return disk.Stats().Messages == 0 })
	inOrder(t, contents(t, js, "CX_EVENTS"), conversations, 3*each)
}

// A stream that is missing, or full, is a bus that is away: events wait in the spool until someone has made room.
func TestEventsWaitForAStreamThatIsMissingOrFull(t *testing.T) {
	js := natstest.Start(t).JetStream(t)
	disk := newMemorySpool(100)
	h := setup(t, func(c *Config, d *Deps) {
		patient(c)
		d.Publisher, d.MaxPayload, d.Spool = js, js.Conn().MaxPayload, disk
	})
	sent := 0
	waits := func(messages uint64) {
		t.Helper()
		h.customers(t, 1, sent, sent+1)
		sent++
		if n := disk.Stats().Messages; n != messages {
			t.Fatalf("%d messages are in the spool, want %d: %s", n, messages, h.log)
		}
	}
	waits(1) // nobody answers
	full := jetstream.StreamConfig{Name: "CX_EVENTS", Subjects: []string{"cx.*.*"}, MaxMsgs: 2, Discard: jetstream.DiscardNew}
	if _, err := js.CreateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	run(t, h.Drain)
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	waits(0)
	waits(1) // the stream refuses it
	waits(2)
	full.MaxMsgs = -1
	if _, err := js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the spool is empty", func() bool { return !h.store.spooling.Load() })
	waits(0)
	inOrder(t, contents(t, js, "CX_EVENTS"), 1, 5)
}
