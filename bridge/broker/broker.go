package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// requestTimeout bounds one request to JetStream. A request that took longer is asked again.
const requestTimeout = 10 * time.Second

// Options are what the rest of the bridge decides.
type Options struct {
	// Names are the names of streams and subjects.
	Names subjects.Names
	// Settings are the settings of streams that the configuration decides.
	Settings subjects.StreamSettings
	// MaxPayload is the largest message in bytes, with its headers, that the embedded server has to take. 0: the server's default.
	MaxPayload int32
	// Reached is told, each time that a server is connected to, how many bytes the largest message that it takes may have, with its headers. It
	// must not wait. nil: nobody is told.
	Reached func(maxPayload int64)
	// Name tells the connection from others in the server's monitoring, such as "cxbridge/host". Empty: "cxbridge".
	Name string
	// Log is told of each change of the connection. nil: nobody is.
	Log *slog.Logger
}

// Broker is the connection to NATS, with the embedded server if there is one.
type Broker struct {
	names    subjects.Names
	settings subjects.StreamSettings
	log      *slog.Logger
	state    *state
	host     *host // nil in external mode
	conn     *nats.Conn
	js       jetstream.JetStream
	figures  atomic.Pointer[figures] // nil before the first

	mu      sync.Mutex
	buckets map[string]jetstream.KeyValue
	told    map[string]bool // remarks on streams that were logged already
}

// Open starts the embedded server and connects to it, or begins to connect to the external one. It fails when the
// configuration is wrong or the embedded server cannot start; an external server that cannot be reached is no error here, and
// [Broker.Ready] waits for it.
func Open(ctx context.Context, c Config, o Options) (*Broker, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Name == "" {
		o.Name = "cxbridge"
	}
	b := &Broker{
		names: o.Names, settings: o.Settings, log: o.Log, state: newState(o.Log),
		buckets: map[string]jetstream.KeyValue{}, told: map[string]bool{},
	}
	b.state.reached = o.Reached
	if err := b.open(ctx, c, o); err != nil {
		return nil, errors.Join(err, b.Close(ctx))
	}
	return b, nil
}

func (b *Broker) open(ctx context.Context, c Config, o Options) error {
	options, err := connectOptions(c, o.Name, b.state)
	if err != nil {
		return err
	}
	switch c.Mode {
	case Embedded:
		err = b.openEmbedded(ctx, c, o.MaxPayload, options)
	case External:
		b.conn, err = connectExternal(c, options, b.state)
	default:
		err = fmt.Errorf("nats.mode: %q is neither embedded nor external", c.Mode)
	}
	if err != nil {
		return err
	}
	if c.JetStreamDomain != "" {
		b.js, err = jetstream.NewWithDomain(b.conn, c.JetStreamDomain, jetstream.WithDefaultTimeout(requestTimeout))
	} else {
		b.js, err = jetstream.New(b.conn, jetstream.WithDefaultTimeout(requestTimeout))
	}
	if err != nil {
		return fmt.Errorf("jetstream: %w", err)
	}
	return nil
}

func (b *Broker) openEmbedded(ctx context.Context, c Config, maxPayload int32, options []nats.Option) error {
	var err error
	b.host, err = startHost(ctx, c, maxPayload, b.log)
	if err != nil {
		return err
	}
	b.conn, err = connectInProcess(b.host, c.Embedded.ConfigFile, options)
	return err
}

// Conn is the connection. It stays the same over reconnects.
func (b *Broker) Conn() *nats.Conn { return b.conn }

// JetStream is JetStream on the connection, in the configured domain.
func (b *Broker) JetStream() jetstream.JetStream { return b.js }

// Server is the embedded server, for its figures; nil in external mode and after Close.
func (b *Broker) Server() *server.Server {
	if b.host == nil {
		return nil
	}
	return b.host.nats()
}

// ClientURL is where clients can connect: the address of the embedded server, empty if it does not listen, or the external
// server that the bridge is connected to, without its login, empty while there is none.
func (b *Broker) ClientURL() string {
	running := b.Server()
	if running == nil {
		return b.conn.ConnectedUrlRedacted()
	}
	if running.Addr() == nil {
		return ""
	}
	return running.ClientURL()
}

// Close flushes what was published, closes the connection and stops the embedded server. Parts that do not end before ctx
// does are left to the end of the process, and the error says so. Closing twice is fine.
func (b *Broker) Close(ctx context.Context) error {
	var flushed error
	if b.conn != nil && b.conn.IsConnected() {
		bounded, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		if err := b.conn.FlushWithContext(bounded); err != nil {
			flushed = fmt.Errorf("flush nats connection: %w", err)
		}
	}
	if b.conn != nil {
		b.conn.Close()
	}
	if b.host != nil {
		return errors.Join(flushed, b.host.stop(ctx))
	}
	return flushed
}
