package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/cxbridge/cxbridge/bridge/broker/embedded"
)

const (
	lookEvery    = 2 * time.Second
	restartFirst = 2 * time.Second
	restartMost  = time.Minute
	startTimeout = 2 * time.Minute
)

// host keeps the embedded server running. A nats-server that once failed to write to its disk takes nothing more until it is
// started again; the host does that as soon as the disk can be written to. The connection of the bridge reconnects through it.
type host struct {
	config     Config
	maxPayload int32
	log        *slog.Logger

	cancel context.CancelFunc
	done   chan struct{}

	mu       sync.Mutex
	current  *embedded.Server
	storeDir string
}

func startHost(ctx context.Context, c Config, maxPayload int32, log *slog.Logger) (*host, error) {
	h := &host{config: c, maxPayload: maxPayload, log: log, done: make(chan struct{})}
	if err := h.start(ctx); err != nil {
		return nil, err
	}
	var watching context.Context
	watching, h.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go h.watch(watching)
	return h, nil
}

func (h *host) start(ctx context.Context) error {
	options, err := serverOptions(h.config, h.maxPayload)
	if err != nil {
		return err
	}
	if err := probe(ctx, options); err != nil {
		return err
	}
	started, err := embedded.Start(ctx, options, h.log)
	if err != nil {
		return fmt.Errorf("nats.embedded: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current, h.storeDir = started, options.StoreDir
	return nil
}

func (h *host) stopped() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.current = nil
}

func (h *host) get() *embedded.Server {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.current
}

// InProcessConn connects to the server that runs at the moment.
func (h *host) InProcessConn() (net.Conn, error) {
	if current := h.get(); current != nil {
		return current.InProcessConn()
	}
	return nil, errors.New("the embedded nats-server does not run")
}

// nats is the server that runs at the moment, nil if none does.
func (h *host) nats() *server.Server {
	if current := h.get(); current != nil {
		return current.NATS()
	}
	return nil
}

// failure is what the server says of its health, nil if it is well.
func failure(running *server.Server) error {
	if running == nil {
		return errors.New("the embedded nats-server does not run")
	}
	if err := embedded.Health(running); err != nil {
		return fmt.Errorf("embedded nats-server: %w", err)
	}
	return nil
}

// watch looks after the server until ctx ends.
func (h *host) watch(ctx context.Context) {
	defer close(h.done)
	told, wait := false, restartFirst
	for pause(ctx, lookEvery) == nil {
		err := failure(h.nats())
		if err == nil {
			told, wait = false, restartFirst
			continue
		}
		if !told {
			told = true
			h.log.Error("the embedded nats-server has failed; it is started again when its directory can be written to", "error", err)
		}
		if h.restart(ctx) && pause(ctx, wait) == nil {
			wait = min(2*wait, restartMost)
		}
	}
}

// restart starts the server again if its directory can be written to, and reports whether it tried.
func (h *host) restart(ctx context.Context) bool {
	h.mu.Lock()
	dir := h.storeDir
	h.mu.Unlock()
	if err := embedded.Writable(dir); err != nil {
		h.log.Debug("the embedded nats-server cannot be started again yet", "error", err)
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if old := h.get(); old != nil {
		if err := old.Stop(ctx); err != nil {
			h.log.Warn("the failed nats-server does not stop", "error", err)
			return true
		}
		h.stopped()
	}
	if err := h.start(ctx); err != nil {
		h.log.Error("the embedded nats-server does not start", "error", err)
		return true
	}
	h.log.Info("the embedded nats-server was started again")
	return true
}

func (h *host) stop(ctx context.Context) error {
	h.cancel()
	select {
	case <-h.done:
	case <-ctx.Done():
		return fmt.Errorf("stop the embedded nats-server: %w", context.Cause(ctx))
	}
	if current := h.get(); current != nil {
		return current.Stop(ctx)
	}
	return nil
}
