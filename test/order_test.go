package test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// stormSize is how many conversations have how many commands each. STORM=long makes it large.
func stormSize(conversations, each int) (int, int) {
	if os.Getenv("STORM") == "long" {
		return 100, 50
	}
	return conversations, each
}

// storm publishes commands for many conversations in turn and returns the conversations.
func (w *world) storm(b *bot, conversations, each int) []int64 {
	w.t.Helper()
	var ids []int64
	for n := range conversations {
		ids = append(ids, w.conversation(fmt.Sprint("storm", n)))
	}
	w.wave(b, ids, 0, each)
	return ids
}

func (w *world) wave(b *bot, ids []int64, from, to int) {
	w.t.Helper()
	for n := from; n < to; n++ {
		for _, id := range ids {
			b.say(fmt.Sprintf("%d-%d", id, n), id, fmt.Sprintf("text %d", n))
		}
	}
}

// wantStorm wants every command of a storm done, once and in order.
func (w *world) wantStorm(b *bot, ids []int64, each int) {
	w.t.Helper()
	var want []string
	for n := range each {
		want = append(want, fmt.Sprintf("text %d", n))
	}
	for _, id := range ids {
		for n := range each {
			b.said(fmt.Sprintf("%d-%d", id, n), "done", "")
		}
		w.wantMessages(id, want...)
	}
	b.oneResultEach(len(ids) * each)
	b.letters(0)
}

func TestEachConversationKeepsItsOrderWhileEveryFifthCallFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{Seed: 4}, func(c *bridge.Config) {
		// No call that fails here is carried out, so that sending again after an answer that never comes doubles nothing.
		c.Commands.EchoWait, c.Commands.OnUnknown = 20*time.Millisecond, "resend"
	})
	for _, f := range []cxsim.Fault{
		{Effect: cxsim.EffectStatus, Status: 503, Probability: 0.08},
		{Effect: cxsim.EffectStatus, Status: 429, Probability: 0.04},
		{Effect: cxsim.EffectCloseBefore, Probability: 0.05},
		{Effect: cxsim.EffectResetBefore, Probability: 0.05},
	} {
		f.Op = cxsim.OpSendMessage
		w.sim.Fault(f)
	}
	b := w.start().bot()
	conversations, each := stormSize(30, 20)
	ids := w.storm(b, conversations, each)
	w.wantStorm(b, ids, each)
	if failed := len(w.sim.Journal()) - len(w.sim.Journal().CarriedOut()); failed < conversations*each/10 {
		t.Errorf("only %d calls failed", failed)
	}
}

func TestEachConversationKeepsItsOrderWhileAnswersGetLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{Seed: 5})
	for _, f := range []cxsim.Fault{
		{Effect: cxsim.EffectLost, Status: 500, Probability: 0.07},
		{Effect: cxsim.EffectReset, Probability: 0.07},
		{Effect: cxsim.EffectCut, Probability: 0.07},
	} {
		f.Op = cxsim.OpSendMessage
		w.sim.Fault(f)
	}
	b := w.start().bot()
	ids := w.storm(b, 10, 10)
	w.wantStorm(b, ids, 10)
}

func TestAConversationThatFailsDelaysNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Commands.MaxInFlight = 2 })
	b := w.start().bot()
	stuck := w.conversation("stuck")
	w.sim.Fault(cxsim.Fault{Conversation: stuck, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	for n := range 50 {
		b.say(fmt.Sprint("stuck-", n), stuck, fmt.Sprint("text ", n))
	}
	w.called("the first failure", func(j cxsim.Journal) bool { return len(j) > 0 })
	var ids []int64
	for n := range 20 {
		ids = append(ids, w.conversation(fmt.Sprint("c", n)))
	}
	w.wave(b, ids, 0, 5)
	for _, id := range ids {
		for n := range 5 {
			b.said(fmt.Sprintf("%d-%d", id, n), "done", "")
		}
	}
	if n := b.count("CX_RESULTS"); n != 100 {
		t.Errorf("%d results; want 100, none of the conversation that fails", n)
	}
	w.sim.ClearFaults()
	var want []string
	for n := range 50 {
		b.said(fmt.Sprint("stuck-", n), "done", "")
		want = append(want, fmt.Sprint("text ", n))
	}
	w.wantMessages(stuck, want...)
}

func TestRetryAfterHoldsAllCallsOfTheTenant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		status int
		after  func() (header string, least time.Duration)
	}{
		{"429, seconds", 429, func() (string, time.Duration) { return "2", 2 * time.Second }},
		{"503, seconds", 503, func() (string, time.Duration) { return "2", 2 * time.Second }},
		{"429, date", 429, func() (string, time.Duration) {
			return time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat), 0
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			// One call at a time, so that each begins after the answer to the one before.
			w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Commands.MaxInFlight = 1 })
			b := w.start().bot()
			var ids []int64
			for n := range 5 {
				ids = append(ids, w.conversation(fmt.Sprint("c", n)))
			}
			header, least := c.after()
			w.sim.Fault(cxsim.Fault{Effect: cxsim.EffectStatus, Status: c.status, RetryAfter: header, Times: 1})
			w.wave(b, ids, 0, 1)
			for _, id := range ids {
				b.said(fmt.Sprintf("%d-0", id), "done", "")
			}
			calls := w.sim.Journal()
			until := calls[0].Time.Add(least)
			if at, err := http.ParseTime(header); err == nil {
				until = at
			}
			for _, call := range calls[1:] {
				if call.Time.Before(until) {
					t.Errorf("a call %s before the time until which the API asked to wait", until.Sub(call.Time))
				}
			}
			if len(calls) != 6 || calls[0].Status != c.status {
				t.Errorf("%d calls: %+v", len(calls), calls)
			}
		})
	}
}

func TestAScheduledCommandIsCarriedOutUnlessItIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	commands, err := b.js.Stream(t.Context(), "CX_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	schedule := func(name string, at time.Time) {
		t.Helper()
		b.publish("cx.schedule.cmd."+name, fmt.Sprintf(`{"conversation_id":%d,"content":%q}`, id, name),
			"Nats-Schedule", "@at "+at.UTC().Format(time.RFC3339Nano), "Nats-Schedule-Target", "cx.cmd.message.send", "ce-id", name)
	}
	// The cancelled command would come before the other one. If the machine was too slow to cancel it in time, another attempt has more time.
	for lead, n := 2*time.Second, 0; ; lead, n = 2*lead, n+1 {
		at := time.Now().Add(lead)
		cancelled, kept := fmt.Sprint("cancelled-", n), fmt.Sprint("kept-", n)
		schedule(cancelled, at)
		schedule(kept, at.Add(time.Second))
		if err := commands.Purge(t.Context(), jetstream.WithPurgeSubject("cx.schedule.cmd."+cancelled)); err != nil {
			t.Fatal(err)
		}
		inTime := time.Now().Before(at)
		r := b.said(kept, "done", "")
		if finished, err := time.Parse(time.RFC3339Nano, r.FinishedAt); err != nil || finished.Before(at.Add(900*time.Millisecond)) {
			t.Errorf("carried out at %s, %v; want %s", r.FinishedAt, err, at.Add(time.Second))
		}
		if !inTime {
			continue
		}
		if texts := w.sim.Journal().Messages(id).Contents(); slices.Contains(texts, cancelled) || !slices.Contains(texts, kept) {
			t.Errorf("carried out: %q", texts)
		}
		b.letters(0)
		return
	}
}

func TestTwoBridgesDoNothingTwiceAndOneTakesOverFromTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}).external()
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectDelay, Delay: 3 * time.Millisecond})
	first := w.start()
	second := w.start() // every event of the simulator goes to both
	b := newBot(t, w.bus.URL)
	const each = 20
	ids := w.storm(b, 10, each)
	w.called("half of the work", func(j cxsim.Journal) bool { return len(j) >= 50 })
	first.stop()
	w.wave(b, ids, each, each+5)
	w.wantStorm(b, ids, each+5)
	second.post(otherToken, customerMessage)
	w.sim.Unsubscribe(first.url(pathToken)) // what waits for it is never delivered
	natstest.Eventually(t, "the events of the messages", func() bool {
		seen := map[string]int{}
		for _, m := range b.stored("CX_EVENTS") {
			if m.Subject == "cx.message.created" {
				seen[m.Header.Get("Cx-Message-Id")]++
			}
		}
		for id, n := range seen {
			if n != 1 {
				t.Fatalf("message %s: %d events", id, n)
			}
		}
		return len(seen) == 10*(each+5)+1
	})
}
