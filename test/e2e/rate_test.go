//go:build e2e

package e2e

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// rate is how many commands a second a storm of take-overs has: RATE, or what a slow machine does easily.
func rate(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RATE")
	if text == "" {
		return times(100, 500)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("RATE=%s is not a number of commands a second", text)
	}
	return n
}

// active waits until one of the bridges says that it carries out commands, and returns it.
func active(t *testing.T, bridges ...*bridge) *bridge {
	t.Helper()
	var found *bridge
	eventually(t, "a bridge is active", func() bool {
		for _, b := range bridges {
			if _, page := get("http://" + b.admin + "/metrics"); strings.Contains(page, "\ncxbridge_active 1\n") {
				found = b
			}
		}
		return found != nil
	})
	return found
}

// pauses returns for how long nothing was called after each of the moments.
func pauses(journal cxsim.Journal, moments []time.Time) (all []time.Duration) {
	for _, m := range moments {
		at := slices.IndexFunc(journal, func(e cxsim.Entry) bool { return e.Time.After(m.Add(100 * time.Millisecond)) }) // what was under way has come
		if at >= 0 {
			all = append(all, journal[at].Time.Sub(m).Round(time.Millisecond))
		}
	}
	return all
}

// TestWorkGoesOnWhenTheActiveBridgeIsTakenAway has commands come in at a rate, whatever happens, and takes the active bridge away again and again.
func TestWorkGoesOnWhenTheActiveBridgeIsTakenAway(t *testing.T) {
	for name, blow := range map[string]struct {
		replicas string
		takeAway func(t *testing.T, b *bridge) (giveBack func())
	}{
		"killed": {"", func(t *testing.T, b *bridge) func() { b.kill(); return func() { b.restart(t) } }},
		"frozen": {"", func(t *testing.T, b *bridge) func() {
			b.signal(t, syscall.SIGSTOP)
			return func() { b.signal(t, syscall.SIGCONT) }
		}},
		"killed, in a cluster": {replicated, func(t *testing.T, b *bridge) func() { b.kill(); return func() { b.restart(t) } }},
	} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			var url string
			if blow.replicas == "" {
				url = startNATS(t).url()
			} else {
				url = startCluster(t).url()
			}
			takeAways(t, connect(t, url), url, blow.replicas, blow.takeAway)
		})
	}
}

// takeAways is one storm. How long the next call takes to come is told and not judged, because a machine may be slow.
func takeAways(t *testing.T, js jetstream.JetStream, url, replicas string, takeAway func(*testing.T, *bridge) func()) {
	const lease = 5 * time.Second
	sim, api := platform(t)
	config := external(t, url, api) + replicas + "[commands]\nlease_ttl = \"" + lease.String() + "\"\n"
	first := startBridge(t, config)
	first.ready(t)
	second := startBridge(t, strings.Replace(config, "[spool]\ndir = \"", "[spool]\ndir = \""+t.TempDir(), 1))
	second.ready(t)
	for _, b := range []*bridge{first, second} {
		sim.Subscribe("http://" + b.webhook + "/webhooks/" + pathToken)
	}
	conversations := times(50, 500)
	bot := newBot(t, sim, js, conversations)
	ctx, cancel := context.WithCancel(context.Background())
	begun := time.Now()
	writing := bot.write(ctx, time.Second*time.Duration(conversations)/time.Duration(rate(t)))
	var moments []time.Time
	for range times(1, 4) {
		answered(t, js, 2*rate(t))
		b := active(t, first, second)
		moments = append(moments, time.Now())
		giveBack := takeAway(t, b)
		answered(t, js, rate(t))
		pause(time.Until(moments[len(moments)-1].Add(time.Duration(times(7, 15)) * time.Second)))
		giveBack()
	}
	cancel()
	writing.Wait()
	published := time.Since(begun)
	bot.verify(t, sim)
	t.Logf("%d commands over %d conversations in %.0f s, %.0f/s; all answered %.1f s later; with a lease of %s, the next call came after %v",
		bot.total(), conversations, published.Seconds(), float64(bot.total())/published.Seconds(), (time.Since(begun) - published).Seconds(), lease,
		pauses(sim.Journal(), moments))
}
