//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// cluster is three nats-servers as processes.
type cluster []*natsServer

func startCluster(t *testing.T) cluster {
	t.Helper()
	c := make(cluster, 3)
	var routes, peers []string
	for range c {
		route := strconv.Itoa(freePort(t))
		routes, peers = append(routes, route), append(peers, "nats://127.0.0.1:"+route)
	}
	for i := range c {
		c[i] = &natsServer{port: freePort(t), store: t.TempDir(), env: []string{envServerRoute + "=" + routes[i], envServerPeers + "=" + strings.Join(peers, ",")}}
		c[i].restart(t)
	}
	return c
}

// url names all servers.
func (c cluster) url() string {
	var all []string
	for _, n := range c {
		all = append(all, n.url())
	}
	return strings.Join(all, ",")
}

// leader returns the server that leads a stream; it waits until there is one.
func (c cluster) leader(t *testing.T, js jetstream.JetStream, stream string) *natsServer {
	t.Helper()
	var found *natsServer
	eventually(t, stream+" has a leader", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if err != nil || s.CachedInfo().Cluster == nil {
			return false
		}
		for _, n := range c {
			if s.CachedInfo().Cluster.Leader == fmt.Sprintf("e2e-%d", n.port) && n.running() {
				found = n
			}
		}
		return found != nil
	})
	return found
}

const replicated = "[streams]\nreplicas = 3\n"

func TestNoEventIsLostWhenTheLeaderOfTheStreamIsKilled(t *testing.T) {
	nodes := startCluster(t)
	js := connect(t, nodes.url())
	b := startBridge(t, external(t, nodes.url(), noAPI)+replicated)
	b.ready(t)
	c := newCustomers(b)
	stop := flood(c, 16, 20*time.Millisecond)
	for range times(2, 12) {
		c.progress(t, 200)
		killed := nodes.leader(t, js, "CX_EVENTS")
		killed.kill()
		c.progress(t, 200)
		pause(time.Duration(times(1, 5)) * time.Second)
		killed.restart(t)
	}
	c.progress(t, 100)
	stop()
	c.verify(t, js)
}

// pair is a cluster of servers with two bridges on it, both of which the simulated API sends its webhooks to.
func pair(t *testing.T) (nodes cluster, js jetstream.JetStream, sim *cxsim.Sim, first, second *bridge) {
	t.Helper()
	nodes = startCluster(t)
	js = connect(t, nodes.url())
	sim, api := platform(t)
	lease := "[commands]\nlease_ttl = \"5s\"\n"
	first = startBridge(t, external(t, nodes.url(), api)+replicated+lease)
	first.ready(t)
	second = startBridge(t, external(t, nodes.url(), api)+replicated+lease)
	second.ready(t)
	for _, b := range []*bridge{first, second} {
		sim.Subscribe("http://" + b.webhook + "/webhooks/" + pathToken)
	}
	return nodes, js, sim, first, second
}

func TestNothingIsDoneTwiceWhenLeadersAreKilled(t *testing.T) {
	nodes, js, sim, _, _ := pair(t)
	bot := newBot(t, sim, js, 10)
	ctx, cancel := context.WithCancel(context.Background())
	writing := bot.write(ctx, 100*time.Millisecond)
	for round := range times(2, 12) {
		answered(t, js, 40)
		killed := nodes.leader(t, js, []string{"CX_COMMANDS", "CX_LEDGER", "KV_CX_BRIDGE"}[round%3])
		killed.kill()
		answered(t, js, 40)
		killed.restart(t)
	}
	answered(t, js, 20)
	cancel()
	writing.Wait()
	bot.verify(t, sim)
}
