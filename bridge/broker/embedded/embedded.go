// Package embedded runs a nats-server inside this process, on a directory that no other process may use at the same time.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// pollEvery is how often a start looks whether the server is ready or has failed.
const pollEvery = 50 * time.Millisecond

// Server is a nats-server in this process. It is an InProcessConnProvider of nats.go.
type Server struct {
	lock *lock
	log  *slog.Logger

	mu      sync.Mutex
	current *server.Server
}

// Start locks the store directory (which is created if it is missing), starts a server with these options and waits until it
// takes connections, until it fails, or until ctx ends. The options are those of an embedded server: no signal handling is
// installed, and the server never ends the process.
func Start(ctx context.Context, options *server.Options, log *slog.Logger) (*Server, error) {
	if err := os.MkdirAll(options.StoreDir, 0o700); err != nil {
		return nil, fmt.Errorf("store directory: %w", err)
	}
	held, err := acquire(filepath.Join(options.StoreDir, "cxbridge.lock"))
	if err != nil {
		return nil, fmt.Errorf("store directory %s: %w", options.StoreDir, err)
	}
	s := &Server{lock: held, log: log}
	err = Writable(options.StoreDir)
	if err == nil {
		err = s.start(ctx, options)
	}
	if err != nil {
		return nil, errors.Join(err, held.release())
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, options *server.Options) error {
	options.NoSigs, options.DisableJetStreamBanner = true, true
	started, err := server.NewServer(options)
	if err != nil {
		return fmt.Errorf("nats-server: %w", err)
	}
	log := &logger{log: s.log, fatal: make(chan string, 1)}
	started.SetLoggerV2(log, s.log.Enabled(ctx, slog.LevelDebug), false, false)
	started.Start()
	if err := waitReady(ctx, started, log.fatal); err != nil {
		started.Shutdown()
		started.WaitForShutdown()
		return err
	}
	s.mu.Lock()
	s.current = started
	s.mu.Unlock()
	return nil
}

func waitReady(ctx context.Context, started *server.Server, fatal <-chan string) error {
	for !started.ReadyForConnections(pollEvery) {
		select {
		case reason := <-fatal:
			return fmt.Errorf("nats-server: %s", reason)
		case <-ctx.Done():
			return fmt.Errorf("nats-server is not ready: %w", context.Cause(ctx))
		default:
		}
	}
	select {
	case reason := <-fatal:
		return fmt.Errorf("nats-server: %s", reason)
	default:
		return nil
	}
}

// InProcessConn connects to the server without a network.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current == nil {
		return nil, errors.New("the embedded nats-server is stopped")
	}
	return current.InProcessConn()
}

// NATS returns the server itself, for its figures. It is nil after Stop.
func (s *Server) NATS() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

// Stop ends the server and gives the directory free. When ctx ends first, Stop returns its error; the directory then stays
// locked for as long as the server still uses it.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	running := s.current
	s.current = nil
	s.mu.Unlock()
	if running == nil {
		return nil
	}
	stopped := make(chan error, 1)
	go func() {
		running.Shutdown()
		running.WaitForShutdown()
		stopped <- s.lock.release()
	}()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		return fmt.Errorf("stop nats-server: %w", context.Cause(ctx))
	}
}
