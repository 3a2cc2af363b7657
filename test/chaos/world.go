package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// world is everything that a storm blows over.
type world struct {
	dir       string
	small     map[string]bool // directories that are small file systems
	whyNoDisk string          // why they are not

	sim      *cxsim.Sim
	cluster  []*natsServer
	bridges  []*bridge
	balancer *balancer
	conn     *nats.Conn
	js       jetstream.JetStream
	last     []string // what was outstanding last
}

// startTime bounds the start of everything.
const startTime = 5 * time.Minute

// build makes a world and starts it; binaries are those of the bridges, which make so many calls at once. It has to be torn down also after an error.
func build(ctx context.Context, seed uint64, dir string, binaries [bridges]string, calls int) (w *world, err error) {
	w = &world{dir: dir, small: map[string]bool{}}
	w.sim = cxsim.New(cxsim.Options{
		Seed: seed, WebhookAttempts: -1, RetryWait: 300 * time.Millisecond, MessagesPerMinute: -1, SigningSecret: secret, DeliveryWorkers: 32,
		NoDeliveryBodies: true,
	})
	base, err := w.sim.Start(loopback + ":0")
	if err != nil {
		return w, err
	}
	var stores [servers]string
	for i := range stores {
		if stores[i], err = w.disk(fmt.Sprintf("store-%d", i+1), i == 0, 192); err != nil {
			return w, err
		}
	}
	ports := newPorts()
	if w.cluster, err = newCluster(dir, stores, ports); err != nil {
		return w, err
	}
	for _, n := range w.cluster {
		if err := n.start(); err != nil {
			return w, err
		}
	}
	for i := range bridges {
		spool, err := w.disk(fmt.Sprintf("spool-%d", i+1), true, 24)
		if err != nil {
			return w, err
		}
		b, err := newBridge(i+1, calls, dir, binaries[i], spool, w.sim.Addr(), strings.TrimPrefix(base, "http://"+w.sim.Addr()), w.cluster, ports)
		if err != nil {
			return w, err
		}
		w.bridges = append(w.bridges, b)
		if err := b.start(); err != nil {
			return w, err
		}
	}
	if w.balancer, err = newBalancer(w.bridges); err != nil {
		return w, err
	}
	w.sim.Subscribe(w.balancer.url)
	return w, w.connect(ctx)
}

// disk makes a directory, on a small file system of its own if that is wanted and can be.
func (w *world) disk(name string, small bool, megabytes int) (string, error) {
	dir := filepath.Join(w.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if !small {
		return dir, nil
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", megabytes)); err != nil {
		w.whyNoDisk = "a small file system cannot be mounted here: " + err.Error()
		return dir, nil
	}
	w.small[dir] = true
	return dir, nil
}

// connect waits until servers and bridges work.
func (w *world) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var urls []string
	for _, n := range w.cluster {
		urls = append(urls, n.url())
	}
	var err error
	w.conn, err = nats.Connect(strings.Join(urls, ","), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond), nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // servers come and go; who publishes is told
	if err != nil {
		return err
	}
	if w.js, err = jetstream.New(w.conn, jetstream.WithDefaultTimeout(10*time.Second)); err != nil {
		return err
	}
	return until(ctx, "both bridges are ready", func() bool { return len(w.unready(ctx)) == 0 })
}

// until looks again and again.
func until(ctx context.Context, what string, holds func() bool) error {
	for !holds() {
		if err := sleep(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("waited for: %s: %w", what, err)
		}
	}
	return nil
}

// unready returns what is wrong with the bridges.
func (w *world) unready(ctx context.Context) (wrong []string) {
	for _, b := range w.bridges {
		if status, body := b.ask(ctx, "/readyz"); status != 200 {
			wrong = append(wrong, fmt.Sprintf("%s is not ready: %d %s", b.name, status, body))
		}
	}
	return wrong
}

// leader is the server that leads a stream, nil if there is none.
func (w *world) leader(ctx context.Context, stream string) *natsServer {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := w.js.Stream(ctx, stream)
	if err != nil || s.CachedInfo().Cluster == nil {
		return nil
	}
	for _, n := range w.cluster {
		if s.CachedInfo().Cluster.Leader == fmt.Sprintf("chaos-%d", n.port) {
			return n
		}
	}
	return nil
}

// settle waits until nothing is outstanding, and returns what is when the time is over.
func (w *world) settle(ctx context.Context, commands int, patience time.Duration) []string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var waiting []string
	err := until(ctx, "nothing is outstanding", func() bool {
		w.sim.FlushDeliveries()
		waiting = w.unready(ctx)
		if n := w.sim.WaitingDeliveries(); n > 0 {
			waiting = append(waiting, fmt.Sprintf("%d webhooks are not delivered", n))
		}
		if n := w.count(ctx, "CX_RESULTS"); n < commands {
			waiting = append(waiting, fmt.Sprintf("%d of %d commands have a result", n, commands))
		}
		if len(waiting) == 0 {
			waiting = w.spooled(ctx)
		}
		if len(waiting) > 0 {
			w.last = waiting
		}
		return len(waiting) == 0
	})
	if err == nil {
		return nil
	}
	return waiting
}

// spooled tells of accepted events that are not in the stream yet: a bridge is ready while it empties its spool.
func (w *world) spooled(ctx context.Context) []string {
	offered, _ := w.balancer.record()
	missing := map[string]bool{}
	for _, o := range offered {
		if o.accepted() {
			missing[o.Key] = true
		}
	}
	err := readAll(ctx, w.js, "CX_EVENTS", func(m message) error {
		key, _ := eventKey(m.data)
		delete(missing, key)
		return nil
	})
	if err == nil && len(missing) == 0 {
		return nil
	}
	_ = sleep(ctx, time.Second) // to look costs something
	return []string{fmt.Sprintf("%d accepted events are not in the stream (%v)", len(missing), err)}
}

// count returns how many messages a stream holds; -1 if it cannot be asked.
func (w *world) count(ctx context.Context, stream string) int {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	s, err := w.js.Stream(ctx, stream)
	if err != nil {
		return -1
	}
	return int(s.CachedInfo().State.Msgs)
}

// deserted returns the processes that ended by themselves.
func (w *world) deserted() (names []string) {
	for _, b := range w.bridges {
		if b.process != nil && b.deserted() {
			names = append(names, fmt.Sprintf("%s ended: %v\n%s", b.name, b.err, tail(w.dir, b.name, 10)))
		}
	}
	for _, n := range w.cluster {
		if n.process != nil && n.deserted() {
			names = append(names, fmt.Sprintf("%s ended: %v\n%s", n.name, n.err, tail(w.dir, n.name, 10)))
		}
	}
	return names
}

// tearDown ends everything. Logs stay in the directory.
func (w *world) tearDown() error {
	if w.conn != nil {
		w.conn.Close()
	}
	if w.balancer != nil {
		w.balancer.close()
	}
	for _, b := range w.bridges {
		if b.process != nil {
			b.kill()
		}
		b.close()
	}
	for _, n := range w.cluster {
		if n.process != nil {
			n.kill()
		}
	}
	if w.sim != nil {
		w.sim.Close()
	}
	var errs []error
	for dir := range w.small {
		errs = append(errs, syscall.Unmount(dir, 0))
	}
	return errors.Join(errs...)
}
