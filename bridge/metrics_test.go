package bridge_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

var update = flag.Bool("update", false, "write docs/metrics.md instead of comparing it")

const metricsTable = "../docs/metrics.md"

type families = map[string]*dto.MetricFamily

// scrape reads the metrics of a bridge as Prometheus does.
func (r *running) scrape() families {
	r.t.Helper()
	status, body := r.get("/metrics")
	if status != 200 {
		r.t.Fatalf("/metrics = %d", status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	found, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// exported returns the metrics of a bridge in which every part is at work and has something to tell.
func exported(t *testing.T, change func(*bridge.Config)) families {
	t.Helper()
	sim, cfg := simulate(t)
	base, err := url.Parse(cfg.CX.BaseURL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.CX.AccessToken = ""
	cfg.CX.OAuth.TokenURL = base.Scheme + "://" + base.Host + "/oauth/token"
	cfg.CX.OAuth.ClientID, cfg.CX.OAuth.ClientSecret = cxsim.DefaultClientID, cxsim.DefaultClientSecret
	cfg.NATS.Embedded.MaxStoreBytes = 1 << 30
	cfg.Webhook.TLS.CertFile, cfg.Webhook.TLS.KeyFile = certificate(t)
	change(&cfg)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	b := start(t, cfg).waitReady()
	js := connect(t, b.NATSURL())
	if _, err := js.Publish(t.Context(), "cx.cmd.message.send", fmt.Appendf(nil, `{"conversation_id":%d,"content":"hi"}`, c.ID)); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the result", func() bool { return stored(t, js, "CX_RESULTS") == 1 })
	var found families
	natstest.Eventually(t, "figures of everything", func() bool {
		found = b.scrape()
		for _, late := range []string{"cxbridge_stream_messages", "cxbridge_commands_waiting", "cxbridge_token_expiry_timestamp_seconds"} {
			if found[late] == nil {
				return false
			}
		}
		return len(found["cxbridge_stream_messages"].GetMetric()) == 7
	})
	return found
}

func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return write("cert.pem", "CERTIFICATE", cert), write("key.pem", "PRIVATE KEY", private)
}

// TestMetricsTable compares docs/metrics.md with what bridges really export: one with the embedded server, one with a server of its own. With
// -update it writes the file.
func TestMetricsTable(t *testing.T) {
	embedded := exported(t, func(*bridge.Config) {})
	external := exported(t, func(c *bridge.Config) {
		c.NATS.Mode, c.NATS.URL = broker.External, natstest.Start(t).URL
	})
	delete(external, "cxbridge_jetstream_storage_limit_bytes") // depends on the server
	table := tableOf(embedded, external)
	if *update {
		if err := os.WriteFile(metricsTable, []byte(table), 0o644); err != nil { //nolint:gosec // it is to be read
			t.Fatal(err)
		}
		return
	}
	written, err := os.ReadFile(metricsTable)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, []byte(table)) {
		t.Errorf("docs/metrics.md is not what the bridge exports; go test ./bridge -run TestMetricsTable -update\n%s", differing(string(written), table))
	}
	for where, found := range map[string]families{"embedded": embedded, "external": external} {
		lint(t, where, found)
	}
}

// lint holds the names against the conventions of Prometheus.
func lint(t *testing.T, where string, found families) {
	t.Helper()
	for name, family := range found {
		problems, err := promlint.NewWithMetricFamilies([]*dto.MetricFamily{family}).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s: %s", where, p.Metric, p.Text)
		}
		if strings.HasPrefix(name, "cxbridge_") && !strings.HasSuffix(telemetry.SplitHelp(family.GetHelp()).Means, ".") {
			t.Errorf("%s: the help is no sentence: %s", name, family.GetHelp())
		}
	}
}

func differing(was, is string) string {
	var b strings.Builder
	lines := strings.Split(was, "\n")
	for line := range strings.SplitSeq(is, "\n") {
		if !slices.Contains(lines, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	now := strings.Split(is, "\n")
	for _, line := range lines {
		if !slices.Contains(now, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	return b.String()
}
