package bridge

import (
	"fmt"
	"log/slog"
	"net"
	"reflect"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/subjects"
)

// Bridge is one bridge. Make it with [New] and run it once with [Bridge.Run].
type Bridge struct {
	cfg     Config
	log     *slog.Logger
	names   subjects.Names
	metrics *prometheus.Registry
	ready   chan struct{}
	level   LevelSetter       // nil: the level stays
	traces  *telemetry.Traces // nil: nothing is traced
	// contract is the AsyncAPI document.
	contract []byte
	running  *process      // there once built is closed
	built    chan struct{} // closed when everything is made

	mu             sync.Mutex
	ran            bool
	broker         *broker.Broker
	webhook, admin net.Listener
}

// New checks the configuration and returns a bridge that has not begun anything.
func New(cfg Config, log *slog.Logger, options ...Option) (*Bridge, error) {
	if err := checked(cfg); err != nil {
		return nil, err
	}
	names, err := subjects.New(cfg.Subjects.Prefix)
	if err != nil {
		return nil, fmt.Errorf("subjects.prefix: %w", err)
	}
	contract, err := cfg.Contract()
	if err != nil {
		return nil, err
	}
	b := &Bridge{cfg: cfg, log: log, names: names, metrics: telemetry.NewRegistry(Version()), ready: make(chan struct{}), built: make(chan struct{}), contract: contract}
	for _, option := range options {
		option(b)
	}
	return b, nil
}

// checked returns what is wrong with a configuration, as a [*ConfigError].
func checked(cfg Config) error {
	var problems []Problem
	keys := schemaOf(reflect.TypeFor[Config]())
	cfg.check(func(key, rule string, value any) { problems = append(problems, keys.problem(key, rule, value)) })
	if len(problems) > 0 {
		return &ConfigError{Problems: problems}
	}
	return nil
}

// Ready is closed when everything was proven to work for the first time.
func (b *Bridge) Ready() <-chan struct{} { return b.ready }

// WebhookAddr is where webhooks are taken; nil before the listener is there.
func (b *Bridge) WebhookAddr() net.Addr { return b.addr(&b.webhook) }

// AdminAddr is where operators are answered; nil before the listener is there.
func (b *Bridge) AdminAddr() net.Addr { return b.addr(&b.admin) }

func (b *Bridge) addr(l *net.Listener) net.Addr {
	b.mu.Lock()
	defer b.mu.Unlock()
	if *l == nil {
		return nil
	}
	return (*l).Addr()
}

// NATSURL is where clients can connect to the bus; empty before the bus is up, or if only this process can.
func (b *Bridge) NATSURL() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.broker == nil {
		return ""
	}
	return b.broker.ClientURL()
}
