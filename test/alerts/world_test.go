//go:build alerts

package alerts

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const (
	pathToken     = "path-token-0123456789"
	conversations = 8
)

// world is a simulated CX with a bridge to it, and what customers and bots do there all the time.
type world struct {
	t       *testing.T
	name    string
	sim     *cxsim.Sim
	cfg     bridge.Config
	bus     *natstest.Server // nil if the bus is in the bridge
	bridges []*bridge.Bridge
	first   context.CancelFunc // of the first bridge
	ids     []int64            // of conversations
	js      jetstream.JetStream
	serial  atomic.Int64
	looks   atomic.Int64
}

func newWorld(t *testing.T, name string, opt cxsim.Options, change func(*world)) *world {
	t.Helper()
	opt.WebhookAttempts, opt.RetryWait, opt.MessagesPerMinute = 3, 100*time.Millisecond, -1
	w := &world{t: t, name: name, sim: cxsim.New(opt), cfg: bridge.DefaultConfig()}
	t.Cleanup(w.sim.Close)
	base, err := w.sim.Start("")
	if err != nil {
		t.Fatal(err)
	}
	c := &w.cfg
	c.CX.BaseURL, c.CX.TenantDomain, c.CX.AccessToken = base, cxsim.DefaultTenant, cxsim.DefaultToken
	c.CX.Timeout, c.CX.RatePerSecond = natstest.Patience, 0
	c.NATS.Embedded.Listen, c.NATS.Embedded.StoreDir, c.NATS.Embedded.Sync = "127.0.0.1:0", t.TempDir(), "1m"
	c.Spool.Dir = t.TempDir()
	c.Webhook.Listen, c.Admin.Listen, c.Webhook.PathTokens = "127.0.0.1:0", "127.0.0.1:0", []string{pathToken}
	c.Commands.RetryInitial, c.Commands.RetryMax, c.Commands.RetryFor = 50*time.Millisecond, 200*time.Millisecond, time.Hour
	c.Commands.EchoWait, c.Commands.LeaseTTL, c.Grace = natstest.Patience, natstest.Patience, time.Second
	change(w)
	w.add()
	if c.Webhook.TLS.CertFile == "" {
		w.sim.Subscribe(w.url(pathToken), cxsim.V313.Subscriptions()...)
	}
	for i := range conversations {
		v := cxsim.Visitor{Name: fmt.Sprint("Ann ", i), Email: fmt.Sprintf("ann%d@example.test", i), InboxID: w.sim.InboxID(cxsim.ChannelAPI)}
		made, err := w.sim.NewConversation(v)
		if err != nil {
			t.Fatal(err)
		}
		w.ids = append(w.ids, made.ID)
	}
	w.connect()
	return w
}

// external moves the bus out of the bridge.
func (w *world) external() {
	w.bus = natstest.Start(w.t)
	w.cfg.NATS.Mode, w.cfg.NATS.URL = broker.External, w.bus.URL
}

// add starts a bridge with the configuration as it is, and waits until it is ready.
func (w *world) add() {
	w.t.Helper()
	b, err := bridge.New(w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := b.Run(ctx); err != nil && ctx.Err() == nil {
			w.t.Errorf("%s: Run = %v", w.name, err)
		}
	}()
	w.t.Cleanup(func() {
		cancel()
		<-ended
	})
	select {
	case <-b.Ready():
	case <-ended:
		w.t.Fatalf("%s: the bridge ended", w.name)
	case <-time.After(natstest.Patience):
		w.t.Fatalf("%s: the bridge does not get ready", w.name)
	}
	if w.bridges = append(w.bridges, b); len(w.bridges) == 1 {
		w.first = cancel
	}
}

func (w *world) connect() {
	conn, err := nats.Connect(w.bridges[0].NATSURL(), nats.MaxReconnects(-1), nats.Timeout(natstest.Patience), nats.ReconnectBufSize(-1))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(conn.Close)
	if w.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(natstest.Patience)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) url(token string) string {
	return "http://" + w.bridges[0].WebhookAddr().String() + "/webhooks/" + token
}

// post sends a webhook and returns the status of the answer; 0 if there was none.
func (w *world) post(token, body string) int {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, w.url(token), strings.NewReader(body))
	if err != nil {
		w.t.Error(err)
		return 0
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, res.Body) // only the status matters
	_ = res.Body.Close()
	return res.StatusCode
}

// message is the event of a new message.
func (w *world) message(conversation int64, sender, content string) string {
	direction := "incoming"
	if sender != "contact" {
		direction = "outgoing"
	}
	return fmt.Sprintf(`{"event":"message_created","id":%d,"content":%q,"message_type":%q,"sender":{"type":%q},"conversation":{"id":%d},"inbox":{"id":1}}`,
		1_000_000+w.serial.Add(1), content, direction, sender, conversation)
}

// send publishes a command for a conversation. While the bus is away it does nothing.
func (w *world) send(conversation int64) {
	body := fmt.Sprintf(`{"conversation_id":%d,"content":"message %d"}`, conversation, w.serial.Add(1))
	_, _ = w.js.PublishAsync("cx.cmd.message.send", []byte(body)) // what becomes of it is not the matter here
}

// live lets customers and bots write until ctx ends.
func (w *world) live(ctx context.Context) {
	tick := time.NewTicker(400 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if w.cfg.Webhook.TLS.CertFile == "" {
			w.post(pathToken, w.message(w.ids[i%conversations], "contact", "hello"))
		}
		w.send(w.ids[i%conversations])
	}
}

// certify writes a certificate that is valid for a time.
func (w *world) certify(certFile, keyFile string, valid time.Duration) {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(valid)}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// withCertificate has the webhook listener speak TLS, with a certificate that is valid for long.
func (w *world) withCertificate() {
	dir := w.t.TempDir()
	tls := &w.cfg.Webhook.TLS
	tls.CertFile, tls.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	w.certify(tls.CertFile, tls.KeyFile, 90*24*time.Hour)
}
