package bridge_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/console"
)

// TestTheConsoleDrawsMetricsThatThereAre ties the charts to the names of the metrics.
func TestTheConsoleDrawsMetricsThatThereAre(t *testing.T) {
	_, cfg := simulate(t)
	b := start(t, cfg).waitReady()
	_, text := b.get("/metrics")
	for _, name := range console.MetricNames() {
		if strings.HasPrefix(name, "cxbridge_spool_") {
			continue // there is none beside an embedded server
		}
		if !strings.Contains(text, "# TYPE "+name+" ") && !strings.Contains(text, "\n"+name) {
			t.Errorf("the console draws %s, which the bridge does not export", name)
		}
	}
}

// TestTheConsoleAsksWhatTheServiceAnswers is on the admin listener of a bridge that runs.
func TestTheConsoleAsksWhatTheServiceAnswers(t *testing.T) {
	_, cfg := simulate(t)
	cfg.Admin.Token = "operators-only"
	b := start(t, cfg).waitReady()
	if status, page := b.get("/"); status != http.StatusOK || !strings.Contains(page, "cxbridge console") {
		t.Errorf("GET / = %d", status)
	}
	ask := func(query, token string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.AdminAddr().String()+"/console/ask/"+query, strings.NewReader("{}"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token)
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		response, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	if status, _ := ask("status", "guess"); status != http.StatusUnauthorized {
		t.Errorf("a stranger is answered %d", status)
	}
	var overBus, onPage map[string]any
	asks(t, connect(t, b.NATSURL()).Conn(), "bridge.status", "{}", &overBus)
	status, text := ask("status", "operators-only")
	if err := json.Unmarshal([]byte(text), &onPage); status != http.StatusOK || err != nil {
		t.Fatalf("status = %d %s (%v)", status, text, err)
	}
	keys := func(m map[string]any) (all []string) {
		for k := range m {
			all = append(all, k)
		}
		slices.Sort(all)
		return all
	}
	if !slices.Equal(keys(overBus), keys(onPage)) {
		t.Errorf("the page has %v, the bus %v", keys(onPage), keys(overBus))
	}
}

// TestABridgeStopsWhileAConsoleIsOpen holds that nobody who watches keeps it from stopping.
func TestABridgeStopsWhileAConsoleIsOpen(t *testing.T) {
	_, cfg := simulate(t)
	b := start(t, cfg).waitReady()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.AdminAddr().String()+"/console/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, 12)
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != "event: hello" {
		t.Errorf("the news begin with %q, %v", first, err)
	}
	b.stop()
	_, _ = io.Copy(io.Discard, response.Body) // it has ended, be it in the middle of something
}

// TestOperatorsShowACertificateWhereThatIsAskedFor has the admin listener speak TLS with certificates on both sides, and no token.
func TestOperatorsShowACertificateWhereThatIsAskedFor(t *testing.T) {
	_, cfg := simulate(t)
	certFile, keyFile := certificate(t)
	cfg.Admin.TLS.CertFile, cfg.Admin.TLS.KeyFile, cfg.Admin.TLS.ClientCAFile = certFile, keyFile, certFile
	b := start(t, cfg).waitReady()
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	get := func(own ...tls.Certificate) (int, error) {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: own}}}
		defer client.CloseIdleConnections()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+b.AdminAddr().String()+"/console/session", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer response.Body.Close()
		return response.StatusCode, nil
	}
	if status, err := get(); err == nil {
		t.Errorf("a stranger is answered %d", status)
	}
	if status, err := get(pair); err != nil || status != http.StatusOK {
		t.Errorf("an operator is answered %d, %v", status, err)
	}
}
