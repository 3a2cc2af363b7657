package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
)

// Environment of the roles.
const (
	envStore    = "CXBRIDGE_BENCH_STORE"
	envLazySync = "CXBRIDGE_BENCH_LAZY_SYNC"
	envURL      = "CXBRIDGE_BENCH_NATS"
	envAPI      = "CXBRIDGE_BENCH_API"
	envInFlight = "CXBRIDGE_BENCH_IN_FLIGHT"
	envLedger   = "CXBRIDGE_BENCH_LEDGER"
	envLatency  = "CXBRIDGE_BENCH_LATENCY"
	envSecret   = "CXBRIDGE_BENCH_SECRET"
)

// serveNATS is a nats-server until it is told to stop.
func serveNATS(ctx context.Context) error {
	s, err := server.NewServer(&server.Options{
		ServerName: "bench", Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: os.Getenv(envStore),
		SyncAlways: os.Getenv(envLazySync) == "", NoSigs: true, DisableJetStreamBanner: true, MaxPayload: 8 << 20,
	})
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(startTime) {
		return errors.New("nats-server takes no connections")
	}
	ctx, err = announce(ctx, s.ClientURL())
	if err == nil {
		<-ctx.Done()
	}
	s.Shutdown()
	s.WaitForShutdown()
	return err
}

// bus is a nats-server as a process, and the bench's own connection to it.
type bus struct {
	server *process
	url    string
	conn   *nats.Conn
	js     jetstream.JetStream
}

// startBus starts a nats-server that syncs every message unless told otherwise.
func (b *bench) startBus(ctx context.Context, store string, lazySync bool) (*bus, error) {
	var env []string
	if lazySync {
		env = append(env, envLazySync+"=1")
	}
	p, url, err := startRole(ctx, roleNATS, append(env, envStore+"="+store)...)
	if err != nil {
		return nil, err
	}
	s := &bus{server: p, url: url}
	if s.conn, err = nats.Connect(url, nats.Timeout(startTime)); err == nil {
		s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(startTime))
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

func (s *bus) stop() error {
	if s == nil {
		return nil
	}
	if s.conn != nil {
		s.conn.Close()
	}
	return s.server.stop()
}

// makeStreams makes all streams as the bridge would, so that the floor has the same.
func (s *bus) makeStreams(ctx context.Context) error {
	n, streams, err := names()
	if err != nil {
		return err
	}
	c := broker.DefaultConfig()
	c.Mode, c.URL = broker.External, s.url
	opened, err := broker.Open(ctx, c, broker.Options{Names: n, Settings: streams, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	return errors.Join(opened.Ready(ctx), opened.Close(ctx))
}

// stored returns how many messages a stream holds.
func (s *bus) stored(ctx context.Context, stream string) (int64, error) {
	found, err := s.js.Stream(ctx, stream)
	if err != nil {
		return 0, err
	}
	return int64(found.CachedInfo().State.Msgs), nil
}

// publish stores n messages, many at a time.
func (s *bus) publish(n int, message func(i int) *nats.Msg) error {
	const most = 4096
	js, err := jetstream.New(s.conn, jetstream.WithPublishAsyncMaxPending(most))
	if err != nil {
		return err
	}
	acks := make([]jetstream.PubAckFuture, 0, n)
	for i := range n {
		ack, err := js.PublishMsgAsync(message(i), jetstream.WithStallWait(startTime))
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(startTime):
		return errors.New("the bus does not acknowledge")
	}
	for _, ack := range acks {
		select {
		case err := <-ack.Err():
			return fmt.Errorf("publish: %w", err)
		default:
		}
	}
	return nil
}

// newDir returns the name of a directory that is not there yet.
func (b *bench) newDir(name string) string {
	b.copies++
	return filepath.Join(b.dir, name+"-"+strconv.Itoa(b.copies))
}
