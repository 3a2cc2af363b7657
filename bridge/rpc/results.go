package rpc

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// lookEvery is how often a request looks for its result in the stream, in case the live copy of it was missed.
const lookEvery = 3 * time.Second

// results hands results to those who wait for them. They come live, each to a subscription of its own: one to all results would have the server send
// every one of them here, although few ask for results this way. The stream is the safety net.
type results struct {
	names subjects.Names
	conn  *nats.Conn
	js    jetstream.JetStream
}

func newResults(deps Deps) *results {
	return &results{names: deps.Names, conn: deps.Conn, js: deps.JetStream}
}

// await subscribes to the result on a subject, until forget is called.
func (r *results) await(subject string) (live <-chan *nats.Msg, forget func(), err error) {
	c := make(chan *nats.Msg, 1)
	sub, err := r.conn.ChanSubscribe(subject, c)
	if err != nil {
		return nil, nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	forget = func() { _ = sub.Unsubscribe() } // it may have ended with its message, or with the connection
	if err := sub.AutoUnsubscribe(1); err != nil {
		forget()
		return nil, nil, fmt.Errorf("subscribe to %s: %w", subject, err)
	}
	return c, forget, nil
}

// get waits for a result. A command that was known before may have ended already, and is looked for in the stream at once.
func (r *results) get(ctx context.Context, subject string, live <-chan *nats.Msg, known bool) ([]byte, error) {
	if known {
		if body, ok := r.look(ctx, subject); ok {
			return body, nil
		}
	}
	again := time.NewTicker(lookEvery)
	defer again.Stop()
	for {
		select {
		case m := <-live:
			return m.Data, nil
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
