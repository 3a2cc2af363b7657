package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// lookEvery is how often a request looks for its result in the stream, in case the live copy of it was missed.
const lookEvery = 3 * time.Second

// results hands results to those who wait for them. They come live, over one subscription to all of them; the stream is the safety net.
type results struct {
	names subjects.Names
	conn  *nats.Conn
	js    jetstream.JetStream

	mu      sync.Mutex
	waiting map[string]map[chan []byte]struct{} // by subject
}

func newResults(deps Deps) *results {
	return &results{names: deps.Names, conn: deps.Conn, js: deps.JetStream, waiting: map[string]map[chan []byte]struct{}{}}
}

func (r *results) follow() (*nats.Subscription, error) {
	return r.conn.Subscribe(r.names.Prefix()+".result.*.*.*", func(m *nats.Msg) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for c := range r.waiting[m.Subject] {
			select {
			case c <- m.Data:
			default: // it has one already
			}
		}
	})
}

// await registers for the result on a subject, until forget is called.
func (r *results) await(subject string) (result <-chan []byte, forget func()) {
	c := make(chan []byte, 1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting[subject] == nil {
		r.waiting[subject] = map[chan []byte]struct{}{}
	}
	r.waiting[subject][c] = struct{}{}
	return c, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting[subject], c)
		if len(r.waiting[subject]) == 0 {
			delete(r.waiting, subject)
		}
	}
}

// get waits for a result. A command that was known before may have ended already, and is looked for in the stream at once.
func (r *results) get(ctx context.Context, subject string, live <-chan []byte, known bool) ([]byte, error) {
	if known {
		if body, ok := r.look(ctx, subject); ok {
			return body, nil
		}
	}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case body := <-live:
			return body, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-again.C:
			if body, ok := r.look(ctx, subject); ok {
				return body, nil
			}
		}
	}
}

// look reads a result from the stream. Whatever hinders it passes, or ends the wait.
func (r *results) look(ctx context.Context, subject string) ([]byte, bool) {
	stream, err := r.js.Stream(ctx, r.names.ResultsStream())
	if err != nil {
		return nil, false
	}
	msg, err := stream.GetLastMsgForSubject(ctx, subject)
	if err != nil {
		return nil, false
	}
	return msg.Data, true
}
