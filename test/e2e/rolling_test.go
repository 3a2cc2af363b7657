//go:build e2e

package e2e

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// whole waits until every stream of the bridge has a leader and all its replicas are up to date, as an operator does before the next
// server is stopped.
func (c cluster) whole(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for _, name := range []string{"CX_EVENTS", "CX_COMMANDS", "CX_RESULTS", "CX_DEAD", "CX_LEDGER", "KV_CX_BRIDGE", "KV_CX_CONTACTS"} {
		eventually(t, "all replicas of "+name+" are up to date", func() bool {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			s, err := js.Stream(ctx, name)
			if err != nil || s.CachedInfo().Cluster == nil || s.CachedInfo().Cluster.Leader == "" || len(s.CachedInfo().Cluster.Replicas) != len(c)-1 {
				return false
			}
			for _, r := range s.CachedInfo().Cluster.Replicas {
				if !r.Current || r.Offline {
					return false
				}
			}
			return true
		})
	}
}

// TestNoWebhookIsRefusedWhileEverythingIsRestarted upgrades three servers and two bridges in working hours: one after the other, each stopped
// softly. Whoever sends webhooks knows both bridges and turns to the other one when the first does not take an event.
func TestNoWebhookIsRefusedWhileEverythingIsRestarted(t *testing.T) {
	nodes, js, sim, first, second := pair(t)
	c := newCustomers(first, second)
	c.next.Store(10_000_000) // beyond the ids of the simulator
	stop := flood(c, 16, 20*time.Millisecond)
	bot := newBot(t, sim, js, 10)
	ctx, cancel := context.WithCancel(context.Background())
	writing := bot.write(ctx, 100*time.Millisecond)
	for range times(1, 5) {
		for _, n := range nodes {
			c.progress(t, 100)
			nodes.whole(t, js)
			n.stop(t)
			c.progress(t, 50)
			n.restart(t)
		}
		nodes.whole(t, js)
		for _, b := range []*bridge{first, second} {
			answered(t, js, 20)
			if status := b.stop(t); status != 0 {
				t.Errorf("a bridge that was stopped softly ended with status %d", status)
			}
			c.progress(t, 50)
			b.restart(t)
			b.ready(t)
		}
	}
	answered(t, js, 20)
	cancel()
	writing.Wait()
	stop()
	c.verify(t, js)
	bot.verify(t, sim)
	if _, refused := c.counts(); refused > 0 {
		t.Errorf("%d webhooks were refused by both bridges", refused)
	}
}
