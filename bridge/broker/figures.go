package broker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// figures are what the bus told of itself at a time.
type figures struct {
	at      time.Time
	streams map[string]streamFigures // by role
	used    float64
	limit   float64 // 0: none, or not known
	server  *serverFigures
}

type streamFigures struct{ messages, bytes, consumers float64 }

// serverFigures are those of the embedded server.
type serverFigures struct {
	clients, subscriptions, slow, memory, requests, failures float64
}

// figuresAge is for how long figures are told after they were read.
const figuresAge = time.Minute

// roles are the names of the streams in metrics, which do not depend on the prefix of subjects.
func (b *Broker) roles() map[string]string {
	return map[string]string{
		b.names.EventsStream(): "events", b.names.CommandsStream(): "commands", b.names.ResultsStream(): "results",
		b.names.DeadStream(): "dead", b.names.LedgerStream(): "ledger",
		bucketStream(b.names.BridgeBucket()): "bridges", bucketStream(b.names.ContactsBucket()): "contacts",
	}
}

// ReadFigures asks the bus for the figures that the metrics tell, and the embedded server for its own. It costs a request for each stream. What was read
// is told for a minute at most.
func (b *Broker) ReadFigures(ctx context.Context) error {
	next := &figures{at: time.Now(), streams: map[string]streamFigures{}}
	if running := b.Server(); running != nil {
		next.server = readServer(running)
		if config := running.JetStreamConfig(); config != nil && config.MaxStore > 0 {
			next.limit = float64(config.MaxStore)
		}
	}
	if !b.conn.IsConnected() {
		b.keep(next)
		return errors.New("read figures: nats is not connected")
	}
	var mu sync.Mutex
	var wait sync.WaitGroup
	var errs []error
	each := func(read func() error) {
		wait.Go(func() {
			if err := read(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	each(func() error { return b.readAccount(ctx, next, &mu) })
	for name, role := range b.roles() {
		each(func() error { return b.readStream(ctx, name, role, next, &mu) })
	}
	wait.Wait()
	b.keep(next)
	return errors.Join(errs...)
}

func (b *Broker) readStream(ctx context.Context, name, role string, next *figures, mu *sync.Mutex) error {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("read figures of stream %s: %w", name, err)
	}
	state := stream.CachedInfo().State
	mu.Lock()
	defer mu.Unlock()
	next.streams[role] = streamFigures{float64(state.Msgs), float64(state.Bytes), float64(state.Consumers)}
	return nil
}

func (b *Broker) readAccount(ctx context.Context, next *figures, mu *sync.Mutex) error {
	account, err := b.js.AccountInfo(ctx)
	if err != nil {
		return fmt.Errorf("read figures of the account: %w", err)
	}
	mu.Lock()
	defer mu.Unlock()
	next.used = float64(account.Store)
	if account.Limits.MaxStore > 0 {
		next.limit = float64(account.Limits.MaxStore)
	}
	return nil
}

// keep makes figures those that are told, unless they tell nothing.
func (b *Broker) keep(next *figures) {
	if len(next.streams) > 0 || next.server != nil {
		b.figures.Store(next)
	}
}

func readServer(running *server.Server) *serverFigures {
	f := &serverFigures{
		clients: float64(running.NumClients()), subscriptions: float64(running.NumSubscriptions()), slow: float64(running.NumSlowConsumers()),
	}
	if js, err := running.Jsz(nil); err == nil {
		f.memory, f.requests, f.failures = float64(js.Memory), float64(js.API.Total), float64(js.API.Errors)
	}
	return f
}
