package pause

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

// bucket returns the bucket on a connection of its own.
func bucket(t *testing.T, server *natstest.Server) jetstream.KeyValue {
	t.Helper()
	var kv jetstream.KeyValue
	js := server.JetStream(t)
	natstest.Eventually(t, "the bucket", func() bool {
		var err error
		kv, err = js.CreateOrUpdateKeyValue(testContext(t), jetstream.KeyValueConfig{Bucket: "CX_BRIDGE", History: 1, LimitMarkerTTL: time.Minute})
		return err == nil
	})
	return kv
}

func testSwitch(t *testing.T, server *natstest.Server) *Switch {
	t.Helper()
	s := New(bucket(t, server), slog.New(slog.DiscardHandler))
	s.attempt, s.look, s.again = natstest.Patience, 100*time.Millisecond, 10*time.Millisecond
	return s
}

// follower is a bridge that obeys.
type follower struct {
	mu     sync.Mutex
	states []State
}

func follow(t *testing.T, s *Switch) *follower {
	t.Helper()
	f := &follower{}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = s.Follow(ctx, func(state State) { // it ends with ctx only
			f.mu.Lock()
			defer f.mu.Unlock()
			f.states = append(f.states, state)
		})
	})
	t.Cleanup(func() { stop(); running.Wait() })
	return f
}

func (f *follower) all() []State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]State(nil), f.states...)
}

func (f *follower) waitFor(t *testing.T, what string, fits func(State) bool) {
	t.Helper()
	natstest.Eventually(t, what, func() bool {
		all := f.all()
		return len(all) > 0 && fits(all[len(all)-1])
	})
}

func paused(s State) bool  { return s.Paused }
func running(s State) bool { return !s.Paused }

func TestEveryBridgeObeysAlsoOneThatStartsLater(t *testing.T) {
	server := natstest.Start(t)
	first := follow(t, testSwitch(t, server))
	first.waitFor(t, "the first bridge to begin", running)

	operator := testSwitch(t, server)
	state, changed, err := operator.Pause(testContext(t), "ann", "the API is being mended")
	if err != nil || !changed || !state.Paused || state.Since.IsZero() {
		t.Fatalf("Pause = %+v, %v, %v", state, changed, err)
	}
	first.waitFor(t, "the first bridge to pause", paused)
	later := follow(t, testSwitch(t, server))
	later.waitFor(t, "a later bridge to pause", paused)
	if got := later.all()[0]; got.By != "ann" || got.Reason != "the API is being mended" {
		t.Errorf("a later bridge is told %+v first", got)
	}

	again, changed, err := operator.Pause(testContext(t), "bob", "")
	if err != nil || changed || again != state {
		t.Errorf("Pause again = %+v, %v, %v; want %+v, unchanged", again, changed, err, state)
	}
	if _, changed, err = operator.Resume(testContext(t), "bob", ""); err != nil || !changed {
		t.Errorf("Resume = %v, %v", changed, err)
	}
	first.waitFor(t, "the first bridge to go on", running)
	later.waitFor(t, "the later bridge to go on", running)
	if _, changed, err = operator.Resume(testContext(t), "bob", ""); err != nil || changed {
		t.Errorf("Resume again = %v, %v", changed, err)
	}
}

func TestThePauseSurvivesARestartOfTheBus(t *testing.T) {
	server := natstest.Start(t)
	s := testSwitch(t, server)
	if _, _, err := s.Pause(testContext(t), "ann", ""); err != nil {
		t.Fatal(err)
	}
	f := follow(t, s)
	f.waitFor(t, "the pause", paused)
	server.Restart(t)
	later := follow(t, testSwitch(t, server))
	later.waitFor(t, "the pause after the restart", paused)
	operator := testSwitch(t, server)
	natstest.Eventually(t, "Resume to work", func() bool { _, _, err := operator.Resume(testContext(t), "ann", ""); return err == nil })
	f.waitFor(t, "the bridge from before the restart to go on", running)
}

func TestValuesByHand(t *testing.T) {
	server := natstest.Start(t)
	kv := bucket(t, server)
	s := testSwitch(t, server)
	f := follow(t, s)
	f.waitFor(t, "the beginning", running)
	for _, body := range []string{"yes", "", `{"paused":1}`, `{"paused":true}`, `{"reason":"tea"}`} {
		if _, err := kv.Put(testContext(t), Key, []byte(body)); err != nil {
			t.Fatal(err)
		}
		f.waitFor(t, "to pause by "+body, paused)
		if state, err := s.State(testContext(t)); err != nil || !state.Paused {
			t.Errorf("State with %q = %+v, %v", body, state, err)
		}
		if err := kv.Delete(testContext(t), Key); err != nil {
			t.Fatal(err)
		}
		f.waitFor(t, "to go on after the key was deleted", running)
		if state, err := s.State(testContext(t)); err != nil || state.Paused {
			t.Errorf("State without the key = %+v, %v", state, err)
		}
	}
}
