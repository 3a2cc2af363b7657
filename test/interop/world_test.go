//go:build interop

package interop

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// world is what a bot lives in: a simulated CX in this process, and the built binary with a NATS server in it.
type world struct {
	sim                  *cxsim.Sim
	bridge               *process
	config               string
	nats, webhook, admin string // addresses
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		sim:  cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 200 * time.Millisecond}), // it delivers until the bridge takes it
		nats: freeAddress(t), webhook: freeAddress(t), admin: freeAddress(t),
	}
	t.Cleanup(w.sim.Close)
	api, err := w.sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	w.config = filepath.Join(dir, "config.toml")
	config := fmt.Sprintf(`
[cx]
base_url = %q
tenant_domain = %q
access_token = %q
rate_per_second = 0.0
timeout = "2m"

[nats.embedded]
listen = %q
store_dir = %q

[webhook]
listen = %q
path_tokens = ["interop-interop-interop-interop"]
attempt_timeout = "10s"
store_timeout = "45s"

[admin]
listen = %q

[commands]
echo_wait = "2m"
retry_for = "10m"

[rpc]
timeout = "5m"
`, api, cxsim.DefaultTenant, cxsim.DefaultToken, w.nats, filepath.Join(dir, "nats"), w.webhook, w.admin)
	if err := os.WriteFile(w.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	w.startBridge(t)
	w.sim.Subscribe(traced(t, "http://"+w.webhook+"/webhooks/interop-interop-interop-interop"))
	return w
}

// traced returns an address from which webhooks are passed on, each with a trace of its own, as a proxy in front of the bridge does.
func traced(t *testing.T, to string) string {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL, r.Out.Host = target, target.Host
			r.Out.Header.Set("Traceparent", fmt.Sprintf("00-%016x%016x-%016x-01", rand.Uint64(), rand.Uint64()|1, rand.Uint64()|1))
		},
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo), // the bridge is away at times; the simulator tries again then
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}

// startBridge starts the binary, and NATS with it, and waits until it is ready.
func (w *world) startBridge(t *testing.T) {
	t.Helper()
	w.bridge = start(t, "cxbridge", filepath.Dir(w.config), nil, binary, "run", "--config", w.config)
	eventually(t, "the bridge is ready", func() bool { return w.ready() }, w.bridge)
}

func (w *world) ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+w.admin+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return res.Body.Close() == nil && res.StatusCode == http.StatusOK
}

func (w *world) url() string { return "nats://" + w.nats }

// connect is for looking at the bus from outside.
func (w *world) connect(t *testing.T) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(w.url(), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// consumer returns what the server knows of a durable consumer, nil if it does not exist.
func consumer(t *testing.T, js jetstream.JetStream, stream, durable string) *jetstream.ConsumerInfo {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	var found *jetstream.ConsumerInfo
	all := s.ListConsumers(t.Context()) // of either sort, push or pull
	for i := range all.Info() {
		if i.Name == durable {
			found = i
		}
	}
	if all.Err() != nil {
		t.Fatal(all.Err())
	}
	return found
}

// quiet waits until nothing is under way any more.
func (w *world) quiet(t *testing.T, js jetstream.JetStream, b bot, running *process) {
	t.Helper()
	eventually(t, "each event is acknowledged, each command has its result", func() bool {
		for range 2 { // a message of the bot comes back as an event
			if !w.idle(t, js, b) {
				return false
			}
		}
		return true
	}, w.bridge, running)
}

// idle follows the way of a message: delivered, acknowledged by the bot, commands carried out, results acknowledged.
func (w *world) idle(t *testing.T, js jetstream.JetStream, b bot) bool {
	t.Helper()
	return w.sim.WaitingDeliveries() == 0 && acknowledged(t, js, "CX_EVENTS", b.name) &&
		stored(t, js, "CX_COMMANDS") == stored(t, js, "CX_RESULTS") &&
		(b.byRequest || acknowledged(t, js, "CX_RESULTS", b.name+"-results"))
}

// acknowledged tells whether a consumer has nothing before it.
func acknowledged(t *testing.T, js jetstream.JetStream, stream, durable string) bool {
	t.Helper()
	i := consumer(t, js, stream, durable)
	if i == nil {
		t.Fatalf("the consumer %s is gone", durable)
	}
	return i.NumPending == 0 && i.NumAckPending == 0
}

// stored is how many messages a stream has.
func stored(t *testing.T, js jetstream.JetStream, stream string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// freeAddress finds a port of loopback that nobody listens on, below the range from which operating systems give ports to connections, so that
// it stays free while a server is away.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10000+rand.IntN(20000))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return address
	}
	t.Fatal("no free port between 10000 and 30000")
	return ""
}
