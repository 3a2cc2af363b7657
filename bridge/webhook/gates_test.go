package webhook

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

const someEvent = `{"event":"message_created","id":7,"content":"s3cret words","conversation":{"id":42},"message_type":"incoming"}`

func TestWhoMaySendCanChange(t *testing.T) {
	h := setup(t, nil)
	cfg := h.cfg
	cfg.PathTokens = []string{"another-token"}
	apply, err := h.Admit(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.post(someEvent).Code; got != http.StatusOK {
		t.Errorf("before it is applied: %d", got)
	}
	apply()
	for path, want := range map[string]int{Path + token: http.StatusUnauthorized, Path + "another-token": http.StatusOK} {
		if got := h.send(http.MethodPost, path, someEvent).Code; got != want {
			t.Errorf("%s = %d, want %d", path, got, want)
		}
	}
	cfg.AllowNetworks = []string{"198.51.100.0/24"} // requests of the test come from elsewhere
	if apply, err = h.Admit(cfg); err != nil {
		t.Fatal(err)
	}
	apply()
	if got := h.send(http.MethodPost, Path+"another-token", someEvent).Code; got != problemNetwork.status {
		t.Errorf("from another network: %d", got)
	}
	cfg.AllowNetworks, cfg.SignatureMode, cfg.SignatureSecrets = nil, SignatureEnforce, []string{"s3cret"}
	if apply, err = h.Admit(cfg); err != nil {
		t.Fatal(err)
	}
	apply()
	if got := h.send(http.MethodPost, Path+"another-token", someEvent).Code; got != http.StatusUnauthorized {
		t.Errorf("without a signature: %d", got)
	}
	cfg.PathTokensFile = filepath.Join(t.TempDir(), "missing")
	if _, err := h.Admit(cfg); err == nil {
		t.Error("a file that is missing can be used")
	}
}

func TestEachStoredEventIsOneLineAtDebug(t *testing.T) {
	lines := &logged{}
	level := &slog.LevelVar{}
	h := setup(t, func(_ *Config, d *Deps) {
		d.Log = slog.New(slog.NewTextHandler(lines, &slog.HandlerOptions{Level: level}))
	})
	if h.post(someEvent); lines.lines() != 0 {
		t.Errorf("at info: %s", lines)
	}
	level.Set(slog.LevelDebug)
	if got := h.post(strings.Replace(someEvent, `"id":7`, `"id":8`, 1)).Code; got != http.StatusOK {
		t.Fatalf("answered %d", got)
	}
	got := lines.String()
	for _, want := range []string{"event_id=", "event=message_created", "conversation=42", "subject=cx.message.created", "duration="} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if lines.lines() != 1 || strings.Contains(got, "s3cret") || strings.Contains(got, token) {
		t.Errorf("logged: %s", got)
	}
}

func TestTheLineOfAnEventCostsNothingAtInfo(t *testing.T) {
	h := setup(t, nil)
	msg := &nats.Msg{Subject: "cx.message.created", Header: nats.Header{subjects.HeaderMsgID: {"x"}}}
	start := time.Now()
	if n := testing.AllocsPerRun(100, func() { h.tell(msg, start) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
