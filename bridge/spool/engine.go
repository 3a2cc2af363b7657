package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/embedded"
)

const (
	streamName = "SPOOL"
	// maxPayload is near the largest record that the server's files take.
	maxPayload = 30 << 20
	// duplicates is how long a repeat of the same message is recognized. The bus recognizes it for longer.
	duplicates = 2 * time.Minute
)

// lookAfter is how long an answer may take before the server's files are looked at.
const lookAfter = 250 * time.Millisecond

// errGone tells that a message was removed before.
var errGone = errors.New("message is gone")

// engine is an in-process nats-server with one stream.
type engine struct {
	server *embedded.Server
	conn   *nats.Conn
	js     jetstream.JetStream
	stream jetstream.Stream
}

func openEngine(ctx context.Context, config Config, log *slog.Logger) (*engine, Stats, error) {
	e := &engine{}
	var err error
	e.server, err = embedded.Start(ctx, &server.Options{
		ServerName: "cxbridge-spool", DontListen: true, JetStream: true, StoreDir: config.Dir, SyncAlways: true,
		// The bound is that of the stream; a smaller one here would keep the server from loading a stream that was larger once.
		JetStreamMaxStore: 1 << 50, JetStreamMaxMemory: 1 << 20, MaxPayload: maxPayload, MaxPending: 8 * maxPayload, NoSystemAccount: true,
	}, log)
	if err != nil {
		return nil, Stats{}, err
	}
	stats, err := e.open(ctx, config)
	if err != nil {
		ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		return nil, Stats{}, errors.Join(err, e.stop(ending))
	}
	return e, stats, nil
}

func (e *engine) open(ctx context.Context, config Config) (Stats, error) {
	var err error
	e.conn, err = nats.Connect("", nats.InProcessServer(e.server), nats.Name("spool"), nats.NoReconnect(), nats.Timeout(openTimeout))
	if err != nil {
		return Stats{}, err
	}
	e.js, err = jetstream.New(e.conn, jetstream.WithDefaultTimeout(answerTimeout))
	if err != nil {
		return Stats{}, err
	}
	e.stream, err = e.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Description: "webhook events that wait for the bus", Subjects: []string{subjectPrefix + ">"}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxBytes: config.MaxBytes, MaxMsgs: -1, Duplicates: duplicates, AllowDirect: true,
	})
	if err != nil {
		return Stats{}, fmt.Errorf("stream in %s: %w", config.Dir, err)
	}
	return e.stats(ctx)
}

// fate is what became of a message that was put.
type fate int

const (
	stored  fate = iota
	refused      // certainly not stored, or it was there before
	unclear
)

func (e *engine) put(ctx context.Context, msg *nats.Msg) (fate, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	ctx, done := e.watch(ctx)
	defer done()
	ack, err := e.js.PublishMsg(ctx, wrap(msg), jetstream.WithRetryAttempts(0))
	if failed := context.Cause(ctx); err != nil && failed != nil {
		err = failed
	}
	var api *jetstream.APIError
	switch {
	case err == nil && ack.Duplicate:
		return refused, nil
	case err == nil:
		return stored, nil
	case errors.Is(err, nats.ErrMaxPayload), errors.Is(err, jetstream.ErrStreamMessageExceedsMaximum):
		return refused, ErrTooLarge
	case errors.As(err, &api) && api.ErrorCode == codeStoreFailed:
		return refused, fmt.Errorf("%w: %s", ErrFull, api.Description)
	}
	return unclear, err
}

// codeStoreFailed is the server's error for a limit that is reached.
const codeStoreFailed = 10077

func (e *engine) head(ctx context.Context) (*jetstream.RawStreamMsg, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	return e.stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subjectPrefix+">"))
}

func (e *engine) remove(ctx context.Context, sequence uint64) error {
	err := e.stream.DeleteMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		if _, found := e.stream.GetMsg(ctx, sequence); errors.Is(found, jetstream.ErrMsgNotFound) {
			return errGone
		}
	}
	return err
}

func (e *engine) stats(ctx context.Context) (Stats, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	info, err := e.stream.Info(ctx)
	if err != nil || info.State.Msgs == 0 {
		return Stats{}, err
	}
	return Stats{Messages: info.State.Msgs, Bytes: info.State.Bytes, Oldest: info.State.FirstTime}, nil
}

// watch returns a context that ends when the server's files fail: a server that cannot write does not answer at all.
func (e *engine) watch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	var look func()
	look = func() {
		if ctx.Err() != nil {
			return
		}
		if err := e.failure(); err != nil {
			cancel(err)
			return
		}
		time.AfterFunc(lookAfter, look)
	}
	first := time.AfterFunc(lookAfter, look)
	return ctx, func() {
		first.Stop()
		cancel(nil)
	}
}

// failure returns what the server says of its files, nil if they are well. After a failed write the server takes nothing more
// until it is started again.
func (e *engine) failure() error {
	running := e.server.NATS()
	if running == nil {
		return ErrClosed
	}
	return embedded.Health(running)
}

func (e *engine) stop(ctx context.Context) error {
	if e.conn != nil {
		e.conn.Close()
	}
	return e.server.Stop(ctx)
}
