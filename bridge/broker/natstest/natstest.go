// Package natstest runs nats-servers inside a test: a single one or a cluster, with JetStream, on loopback.
//
// It is made for machines that are many times slower than usual: nothing in it gives up before a minute, ports
// are kept for a server while it is stopped, and directories are removed only when the server has let go of them.
package natstest

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Patience is how long this package waits for anything before it fails the test. A passing run never gets near it.
const Patience = 120 * time.Second

// Option changes the options of a server before it starts, at the first start and at every restart.
type Option func(*server.Options)

// Server is one nats-server with JetStream that belongs to a test and is stopped with it. Its port and its directory stay
// the same over Stop and Restart.
type Server struct {
	// URL is the client address, nats://127.0.0.1:<port>.
	URL string
	// Dir is the store directory.
	Dir string

	name    string
	port    *port
	options []Option

	mu     sync.Mutex
	server *server.Server
}

// Start runs a server of its own for the test. It does not sync to disk, to be fast.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := newServer(t, "natstest", opts)
	s.Restart(t)
	return s
}

func newServer(t testing.TB, name string, opts []Option) *Server {
	t.Helper()
	p := reserve(t)
	s := &Server{URL: fmt.Sprintf("nats://127.0.0.1:%d", p.number), Dir: directory(t), name: name, port: p, options: opts}
	t.Cleanup(s.Stop)
	return s
}

// Restart stops the server if it runs, and starts it on the same port with the same directory. It returns when the server
// takes connections; in a cluster, use [Cluster.WaitReady] for JetStream.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.begin(t)
	if !s.Server().ReadyForConnections(Patience) {
		t.Fatalf("natstest: server on %s took no connections", s.URL)
	}
}

// begin starts the server without waiting for it.
func (s *Server) begin(t testing.TB) {
	t.Helper()
	s.Stop()
	started, err := server.NewServer(s.serverOptions())
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	s.mu.Lock()
	s.server = started
	s.mu.Unlock()
	started.Start()
}

func (s *Server) serverOptions() *server.Options {
	o := &server.Options{
		ServerName: s.name, Host: "127.0.0.1", Port: s.port.number, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: s.Dir, JetStreamMaxStore: 8 << 30, JetStreamMaxMemory: 256 << 20, DisableJetStreamBanner: true,
	}
	for _, change := range s.options {
		change(o)
	}
	return o
}

// Stop ends the server at once, without telling its clients first, and returns when it is gone. Stopping twice is fine.
func (s *Server) Stop() {
	s.mu.Lock()
	running := s.server
	s.server = nil
	s.mu.Unlock()
	if running == nil {
		return
	}
	running.Shutdown()
	running.WaitForShutdown()
}

// Server returns the running server, nil while it is stopped.
func (s *Server) Server() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.server
}

// Conn connects to the server and closes the connection at the end of the test. The connection comes back after
// a restart, and does not buffer while it is away.
func (s *Server) Conn(t testing.TB, opts ...nats.Option) *nats.Conn {
	t.Helper()
	return connect(t, s.URL, opts...)
}

// JetStream is a JetStream handle on a connection of its own, see [Server.Conn].
func (s *Server) JetStream(t testing.TB, opts ...nats.Option) jetstream.JetStream {
	t.Helper()
	return handle(t, s.Conn(t, opts...), Patience)
}

func connect(t testing.TB, url string, opts ...nats.Option) *nats.Conn {
	t.Helper()
	all := append([]nats.Option{
		nats.Timeout(Patience), nats.MaxReconnects(-1), nats.ReconnectWait(50 * time.Millisecond),
		nats.ReconnectJitter(20*time.Millisecond, 20*time.Millisecond), nats.ReconnectBufSize(-1),
	}, opts...)
	conn, err := nats.Connect(url, all...)
	if err != nil {
		t.Fatalf("natstest: connect to %s: %v", url, err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func handle(t testing.TB, conn *nats.Conn, timeout time.Duration) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(timeout))
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	return js
}

// directory is like t.TempDir, but waits until the server has let go of the files.
func directory(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "natstest")
	if err != nil {
		t.Fatalf("natstest: %v", err)
	}
	t.Cleanup(func() {
		if !until(func() bool { return os.RemoveAll(dir) == nil }) {
			t.Errorf("natstest: %s cannot be removed", dir)
		}
	})
	return filepath.Join(dir, "store")
}

// Eventually waits until the condition holds, and fails the test when it still does not after [Patience].
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	if !until(holds) {
		t.Fatalf("natstest: waited %s in vain: %s", Patience, what)
	}
}

func until(holds func() bool) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	end := time.NewTimer(Patience)
	defer end.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			return holds()
		}
	}
	return true
}
