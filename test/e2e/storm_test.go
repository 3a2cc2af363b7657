//go:build e2e

package e2e

import (
	"context"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// long reports whether the storms are to be as long as the README says.
func long() bool { return os.Getenv("STORM") == "long" }

// times returns how often something is done in a short and in a long storm.
func times(short, full int) int {
	if long() {
		return full
	}
	return short
}

// beside lets a short storm blow beside the next one of its test: mostly they wait. A long one has the machine for itself.
func beside(t *testing.T) {
	t.Helper()
	if !long() {
		t.Parallel()
	}
}

// noAPI is the address of an API that nobody calls in the test.
const noAPI = "http://127.0.0.1:9/"

const base = `
[cx]
base_url      = "APIURL"
tenant_domain = "acme.cx.sangoma.com"
access_token  = "sim-token"
rate_per_second = 0.0
timeout = "30s"

[webhook]
listen      = "WEBHOOK"
path_tokens = ["` + pathToken + `"]

[admin]
listen = "ADMIN"

[log]
format = "json"
`

// embedded is a configuration with the NATS server in the bridge.
func embedded(t *testing.T, url, api string) string {
	t.Helper()
	return strings.Replace(base, "APIURL", api, 1) + `
[nats]
mode = "embedded"
[nats.embedded]
listen    = "` + strings.TrimPrefix(url, "nats://") + `"
store_dir = "` + t.TempDir() + `"
`
}

// external is a configuration with a NATS server beside the bridge.
func external(t *testing.T, url, api string) string {
	t.Helper()
	return strings.Replace(base, "APIURL", api, 1) + `
[nats]
mode = "external"
url  = "` + url + `"
[spool]
dir = "` + t.TempDir() + `"
`
}

// flood lets n conversations write until the returned function is called, which waits for the last answers.
func flood(c *customers, n int, every time.Duration) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for conversation := range n {
		all.Go(func() { c.write(ctx, conversation+1, 0, every) })
	}
	return func() { cancel(); all.Wait() }
}

// progress waits until some more events were accepted.
func (c *customers) progress(t *testing.T, more int) {
	t.Helper()
	before, _ := c.counts()
	eventually(t, "more events are accepted", func() bool {
		now, _ := c.counts()
		return now >= before+more
	})
}

func TestNoEventIsLostWhenTheBridgeIsKilled(t *testing.T) {
	url := "nats://" + localhost(freePort(t))
	b := startBridge(t, embedded(t, url, noAPI))
	c := newCustomers(b)
	stop := flood(c, 16, 0)
	for range times(5, 50) {
		c.progress(t, times(400, 1000))
		b.kill()
		b.restart(t)
	}
	c.progress(t, 400)
	stop()
	c.verify(t, connect(t, url))
	if status := b.stop(t); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

func TestNoEventIsLostWhenTheBridgeIsKilledWhileNATSIsAway(t *testing.T) {
	n := startNATS(t)
	b := startBridge(t, external(t, n.url(), noAPI))
	b.ready(t)
	c := newCustomers(b)
	stop := flood(c, 16, 0)
	for round := range times(6, 50) {
		away := round%2 == 1
		c.progress(t, 200)
		if away {
			n.kill()
			c.progress(t, 200)
		}
		b.kill()
		b.restart(t)
		c.progress(t, 200)
		if away {
			n.restart(t)
		}
	}
	stop()
	c.verify(t, connect(t, n.url()))
	b.ready(t)
}

// outages is for how long the bus is away, time after time.
func outages() []time.Duration {
	if long() {
		return []time.Duration{10 * time.Second, time.Minute}
	}
	return []time.Duration{5 * time.Second}
}

func isReady(b *bridge) bool {
	status, _ := get("http://" + b.admin + "/readyz")
	return status == http.StatusOK
}

func TestNoEventIsLostWhileNATSIsAway(t *testing.T) {
	for name, blow := range map[string]func(t *testing.T, n *natsServer){
		"stopped": func(t *testing.T, n *natsServer) { n.stop(t) },
		"killed":  func(_ *testing.T, n *natsServer) { n.kill() },
		"frozen":  func(t *testing.T, n *natsServer) { n.signal(t, syscall.SIGSTOP) },
	} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			n := startNATS(t)
			b := startBridge(t, external(t, n.url(), noAPI))
			b.ready(t)
			c := newCustomers(b)
			stop := flood(c, 20, 100*time.Millisecond)
			for _, length := range outages() {
				c.progress(t, 100)
				blow(t, n)
				eventually(t, "/readyz tells that the bus is away", func() bool { return !isReady(b) })
				for end := time.Now().Add(length); time.Now().Before(end); pause(250 * time.Millisecond) {
					if isReady(b) {
						t.Fatal("/readyz says that the bridge is ready, and the bus is still away")
					}
				}
				c.progress(t, 100)
				if name == "frozen" {
					n.signal(t, syscall.SIGCONT)
				} else {
					n.restart(t)
				}
				b.ready(t)
			}
			c.progress(t, 100)
			stop()
			c.verify(t, connect(t, n.url()))
			if lines := strings.Count(b.output.String(), "\n"); lines > 60*len(outages()) {
				t.Errorf("the log has %d lines: there should be one for each change of state", lines)
			}
		})
	}
}

// TestABridgeStartsWithoutNATS holds that webhooks are taken before the bus was ever seen.
func TestABridgeStartsWithoutNATS(t *testing.T) {
	n := &natsServer{port: freePort(t), store: t.TempDir()}
	b := startBridge(t, external(t, n.url(), noAPI))
	c := newCustomers(b)
	stop := flood(c, 4, time.Duration(rand.IntN(10))*time.Millisecond)
	c.progress(t, 200)
	stop()
	if status, body := get("http://" + b.admin + "/readyz"); status != http.StatusServiceUnavailable {
		t.Errorf("/readyz without a bus: %d %s", status, body)
	}
	n.restart(t)
	c.verify(t, connect(t, n.url()))
	b.ready(t)
}
