package natstest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Cluster is a cluster of servers in this process.
type Cluster struct {
	// URL is the client addresses of all servers, comma separated.
	URL string
	// Servers are the members; each can be stopped and restarted by itself.
	Servers []*Server
}

// StartCluster runs n servers as one cluster, and returns when JetStream has a leader and every server is a member.
func StartCluster(t testing.TB, n int, opts ...Option) *Cluster {
	t.Helper()
	ports := make([]*port, n)
	routes := make([]*url.URL, n)
	for i := range ports {
		ports[i] = reserve(t)
		routes[i] = &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", ports[i].number)}
	}
	c := &Cluster{}
	urls := make([]string, n)
	for i := range ports {
		member := func(o *server.Options) {
			o.Cluster = server.ClusterOpts{Name: "natstest", Host: "127.0.0.1", Port: ports[i].number}
			o.Routes = routes
		}
		s := newServer(t, fmt.Sprintf("natstest-%d", i+1), append([]Option{member}, opts...))
		c.Servers = append(c.Servers, s)
		urls[i] = s.URL
	}
	c.URL = strings.Join(urls, ",")
	for _, s := range c.Servers {
		s.begin(t)
	}
	c.WaitReady(t)
	return c
}

// WaitReady waits until all servers that run take connections, agree on a leader of JetStream, and are up to date with it.
func (c *Cluster) WaitReady(t testing.TB) {
	t.Helper()
	for _, s := range c.Servers {
		if running := s.Server(); running != nil && !running.ReadyForConnections(Patience) {
			t.Fatalf("natstest: server on %s took no connections", s.URL)
		}
	}
	Eventually(t, "the cluster to have a JetStream leader and all members", c.ready)
}

func (c *Cluster) ready() bool {
	leaders, running, peers := 0, 0, 0
	for _, s := range c.Servers {
		member := s.Server()
		if member == nil {
			continue
		}
		running++
		if member.JetStreamIsLeader() {
			leaders++
			peers = len(member.JetStreamClusterPeers())
		}
		if !member.JetStreamIsCurrent() {
			return false
		}
	}
	return leaders == 1 && peers >= running
}

// Conn connects to any server of the cluster, see [Server.Conn]. A server that does not answer is left for another one.
func (c *Cluster) Conn(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	conn := connect(t, c.URL, append([]nats.Option{nats.Timeout(attempt), nats.RetryOnFailedConnect(true)}, opts...)...)
	Eventually(t, "a connection to the cluster", conn.IsConnected)
	return conn
}

// JetStream is a JetStream handle on a connection of its own, see [Server.Conn]. A request that meets a change of leader is never
// answered: a request without a deadline of its own ends after ten seconds. Try it again, as [Repeat] does.
func (c *Cluster) JetStream(t testing.TB, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	return handle(t, c.Conn(t, opts...), attempt)
}

// StreamLeader waits until the stream has a leader among the running servers, and returns it.
func (c *Cluster) StreamLeader(t testing.TB, stream string) *Server {
	t.Helper()
	var leader *Server
	Eventually(t, "a leader of stream "+stream, func() bool {
		for _, s := range c.Servers {
			if running := s.Server(); running != nil && running.JetStreamIsStreamLeader(server.DEFAULT_GLOBAL_ACCOUNT, stream) {
				leader = s
				return true
			}
		}
		return false
	})
	return leader
}

// attempt bounds one try of what is tried again.
const attempt = 10 * time.Second

// CreateStream creates a stream, and tries again while the cluster is not yet able to.
func CreateStream(t testing.TB, js jetstream.JetStream, config jetstream.StreamConfig) jetstream.Stream {
	t.Helper()
	var stream jetstream.Stream
	Repeat(t, "create stream "+config.Name, func(ctx context.Context) (err error) {
		stream, err = js.CreateOrUpdateStream(ctx, config)
		return err
	})
	return stream
}

// Repeat does something until it succeeds, each time with a context that ends after ten seconds, and fails the test when that was in vain
// for as long as [Patience], or at once with an error that is not [Transient].
func Repeat(t testing.TB, what string, do func(ctx context.Context) error) {
	t.Helper()
	var err error
	Eventually(t, what, func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		err = do(ctx)
		return err == nil || !Transient(err)
	})
	if err != nil {
		t.Fatalf("natstest: %s: %v", what, err)
	}
}

// Transient reports whether an error of the JetStream API is one that passes by itself: no answer, no leader, a server
// that is busy, or not enough servers at the moment.
func Transient(err error) bool {
	if errors.Is(err, nats.ErrNoResponders) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoServers) ||
		errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrDisconnected) || errors.Is(err, nats.ErrReconnectBufExceeded) {
		return true
	}
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.Code == 503 || api.ErrorCode == noSuitablePeers || api.ErrorCode == insufficientStorage)
}

// Codes of the server's errors that a cluster answers while it gathers itself.
const (
	noSuitablePeers     = 10005
	insufficientStorage = 10049
)
