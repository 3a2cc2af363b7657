package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	bridges   = 2
	pathToken = "chaos-path-token-0123456789abcdef"
	secret    = "chaos-signature-secret-0123456789"
	leaseTTL  = 3 * time.Second
	echoWait  = 3 * time.Second
)

// bridge is cxbridge as a process, with a proxy before each server and before the API.
type bridge struct {
	*process
	name, dir, binary string
	config, spool     string
	webhook, admin    string
	calls             int // at once, at most
	bus               []*proxy
	api               *proxy
}

const settings = `
[cx]
base_url = "http://%s%s"
tenant_domain = "acme.cx.sangoma.com"
access_token = "sim-token"
rate_per_second = 0.0
timeout = "2s"

[nats]
mode = "external"
url = "%s"

[streams]
replicas = 3

[webhook]
listen = "%s"
path_tokens = ["` + pathToken + `"]
signature_mode = "enforce"
signature_secrets = ["` + secret + `"]

[spool]
dir = "%s"
max_bytes = 4194304

[commands]
max_in_flight = %d
lease_ttl = "%s"
echo_wait = "%s"
retry_for = "20s"
retry_max = "2s"

[admin]
listen = "%s"

[log]
format = "json"
`

// newBridge makes everything that a bridge needs, and does not start it.
func newBridge(number, calls int, dir, binary, spool, api, root string, cluster []*natsServer, ports *ports) (*bridge, error) {
	b := &bridge{name: fmt.Sprintf("bridge-%d", number), dir: dir, binary: binary, spool: spool, calls: calls}
	var urls []string
	for _, n := range cluster {
		p, err := newProxy(at(n.port))
		if err != nil {
			return nil, err
		}
		b.bus, urls = append(b.bus, p), append(urls, "nats://"+p.address)
	}
	var err error
	if b.api, err = newProxy(api); err != nil {
		return nil, err
	}
	for _, address := range []*string{&b.webhook, &b.admin} {
		port, err := ports.free()
		if err != nil {
			return nil, err
		}
		*address = at(port)
	}
	b.config = filepath.Join(dir, b.name+".toml")
	text := fmt.Sprintf(settings, b.api.address, root, strings.Join(urls, ","), b.webhook, b.spool, b.calls, leaseTTL, echoWait, b.admin)
	return b, os.WriteFile(b.config, []byte(text), 0o600)
}

func (b *bridge) webhookURL() string { return "http://" + b.webhook + "/webhooks/" + pathToken }

func (b *bridge) start() (err error) {
	b.process, err = launch(b.name, b.dir, nil, b.binary, "run", "--config", b.config)
	return err
}

// busWay and apiWay change how the bridge reaches the servers and the API.
func (b *bridge) busWay(w way, delay time.Duration) {
	for _, p := range b.bus {
		p.set(w, delay)
	}
}

func (b *bridge) apiWay(w way, delay time.Duration) { b.api.set(w, delay) }

func (b *bridge) close() {
	for _, p := range append(b.bus, b.api) {
		p.close()
	}
}

// ask gets a page of the admin listener; the status is 0 if nobody answers.
func (b *bridge) ask(ctx context.Context, page string) (int, string) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+b.admin+page, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	r.Close = true // the process comes and goes
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, strings.TrimSpace(string(body))
}

// active reports whether the bridge says that it carries out commands.
func (b *bridge) active(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, page := b.ask(ctx, "/metrics")
	return strings.Contains(page, "\ncxbridge_active 1\n") || strings.Contains(page, "\ncxbridge_commands_active 1\n") // as an older one says it
}
