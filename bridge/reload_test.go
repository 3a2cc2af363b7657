package bridge_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// lines keeps what is logged.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// house is a bridge whose configuration is in a file, kept current.
type house struct {
	*running
	t     *testing.T
	path  string // of the file
	log   *lines
	again chan os.Signal
}

// fileText is a configuration without the sections that tests add.
func fileText(t *testing.T, base string) string {
	return fmt.Sprintf(`
[nats.embedded]
listen = "127.0.0.1:0"
store_dir = %q
sync = "1m"
[spool]
dir = %q
[cx]
base_url = %q
tenant_domain = %q
`, filepath.ToSlash(t.TempDir()), filepath.ToSlash(t.TempDir()), base, cxsim.DefaultTenant)
}

const rest = `
access_token = "sim-token"
timeout = "2m"
[webhook]
listen = "127.0.0.1:0"
path_tokens = ["path-token-0123456789"]
[admin]
listen = "127.0.0.1:0"
`

func keep(t *testing.T, text string) *house {
	t.Helper()
	h := &house{t: t, path: write(t, "cxbridge.toml", text), log: &lines{}, again: make(chan os.Signal, 1)}
	from := bridge.Sources{File: h.path}
	cfg, err := bridge.LoadConfig(from)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Grace = natstest.Patience
	log, level, err := telemetry.NewAdjustable(h.log, cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bridge.New(cfg, log, bridge.WithLevel(level))
	if err != nil {
		t.Fatal(err)
	}
	h.running = launch(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.KeepCurrent(ctx, from, h.again)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	h.waitReady()
	return h
}

// set replaces the file as a whole, as careful programs do.
func (h *house) set(text string) {
	h.t.Helper()
	fresh := h.path + ".new"
	if err := os.WriteFile(fresh, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
	if err := os.Rename(fresh, h.path); err != nil {
		h.t.Fatal(err)
	}
}

// hup asks for the configuration to be read again.
func (h *house) hup() { h.again <- syscall.SIGHUP }

func (h *house) logs(what string) {
	h.t.Helper()
	natstest.Eventually(h.t, "the log to tell "+what, func() bool { return strings.Contains(h.log.String(), what) })
}

func (h *house) hook(token, body string) int {
	h.t.Helper()
	status, _ := request(h.t, http.MethodPost, "http://"+h.WebhookAddr().String()+"/webhooks/"+token, body)
	return status
}

// takes waits until webhooks with a token are answered so.
func (h *house) takes(token string, want int) {
	h.t.Helper()
	natstest.Eventually(h.t, fmt.Sprintf("%d for %s", want, token), func() bool { return h.hook(token, event(1)) == want })
}

func TestWhatCanChangeChangesWithoutARestart(t *testing.T) {
	sim, cfg := simulate(t)
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	text := fileText(t, cfg.CX.BaseURL) + rest
	h := keep(t, text)
	if got := h.hook(pathToken, event(1)); got != http.StatusOK {
		t.Fatalf("at first: %d", got)
	}
	next := strings.NewReplacer(
		pathToken, "s3cret-other-token", `"sim-token"`, "\"s3cret-bearer\"\nrate_per_second = 5\nrate_burst = 1",
		"[admin]", "[log]\nlevel = \"debug\"\n[streams]\nresults_max_age = \"25h\"\n[admin]\ntoken = \"s3cret-admin\"",
	).Replace(text)
	h.set(next)
	h.hup()
	h.logs("the configuration was read again")
	h.takes("s3cret-other-token", http.StatusOK)
	h.takes(pathToken, http.StatusUnauthorized)
	if status, _ := h.get("/metrics"); status != http.StatusUnauthorized {
		t.Errorf("/metrics without the new token = %d", status)
	}
	h.logs(`"level":"DEBUG"`)
	answer, err := connect(t, h.NATSURL()).Conn().Request("cx.rpc.message.send", fmt.Appendf(nil, `{"conversation_id":%d,"content":"hi"}`, c.ID), natstest.Patience)
	if err != nil || !strings.Contains(string(answer.Data), `"unauthorized"`) {
		t.Errorf("with a token that the API does not know: %s, %v", answer.Data, err)
	}
	told := h.log.String()
	for _, want := range []string{
		`"changed":"cx.access_token cx.rate_per_second cx.rate_burst webhook.path_tokens admin.token log.level"`, `"needs_restart":"streams.results_max_age"`,
	} {
		if !strings.Contains(told, want) {
			t.Errorf("the log does not tell %s:\n%s", want, told)
		}
	}
	if strings.Contains(told, "s3cret") {
		t.Errorf("the log tells a secret:\n%s", told)
	}
}

func TestABrokenConfigurationChangesNothing(t *testing.T) {
	_, cfg := simulate(t)
	text := fileText(t, cfg.CX.BaseURL) + rest
	h := keep(t, text)
	other := strings.Replace(text, pathToken, "s3cret-other-token", 1)
	for what, broken := range map[string]string{
		"malformed TOML": other + "[[[",
		"rate_burst":     strings.Replace(other, "[webhook]", "rate_burst = 0\n[webhook]", 1),
		"no such key":    other + "x = 1\n",
	} {
		h.set(broken)
		h.hup()
		h.logs(what)
	}
	if got := h.hook(pathToken, event(1)); got != http.StatusOK {
		t.Errorf("the former token: %d", got)
	}
	if got := h.hook("s3cret-other-token", event(1)); got != http.StatusUnauthorized {
		t.Errorf("the token of the broken file: %d", got)
	}
	told := h.log.String()
	if !strings.Contains(told, "the former one stays in force") || strings.Contains(told, "s3cret") || strings.Contains(told, "was read again") {
		t.Errorf("logged:\n%s", told)
	}
	h.set(other)
	h.hup()
	h.takes("s3cret-other-token", http.StatusOK)
}

func TestAChangeOfTheFileIsSeen(t *testing.T) {
	t.Parallel()
	_, cfg := simulate(t)
	secret := write(t, "admin-token", "first-admin-token\n")
	text := strings.Replace(fileText(t, cfg.CX.BaseURL)+rest, "[admin]", fmt.Sprintf("[admin]\ntoken_file = %q", filepath.ToSlash(secret)), 1)
	h := keep(t, text)
	h.set(strings.Replace(text, pathToken, "other-token-0123456789", 1))
	h.takes("other-token-0123456789", http.StatusOK)
	if err := os.WriteFile(secret, []byte("s3cret-rotated-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.logs(`"changed":"admin.token_file"`)
	natstest.Eventually(t, "the new admin token to be asked for", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+h.AdminAddr().String()+"/asyncapi.json", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer s3cret-rotated-token")
		req.Close = true
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	if strings.Contains(h.log.String(), "s3cret") {
		t.Errorf("the log tells a secret:\n%s", h.log)
	}
}

// TestALevelThatCannotChangeNeedsARestart holds for who makes a logger without a level that can be set.
func TestALevelThatCannotChangeNeedsARestart(t *testing.T) {
	_, cfg := simulate(t)
	path := write(t, "cxbridge.toml", fileText(t, cfg.CX.BaseURL)+rest+"[log]\nlevel = \"warn\"\n")
	from := bridge.Sources{File: path}
	log := &lines{}
	b, err := bridge.New(cfg, slog.New(slog.NewJSONHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	launch(t, b).waitReady()
	again := make(chan os.Signal, 1)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); b.KeepCurrent(ctx, from, again) }()
	t.Cleanup(func() { cancel(); <-ended })
	again <- syscall.SIGHUP
	natstest.Eventually(t, "the log to tell", func() bool {
		return strings.Contains(log.String(), "was read again") && strings.Contains(log.String(), "log.level\"")
	})
}
