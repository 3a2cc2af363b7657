package bridge

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// complete is a configuration without a mistake.
func complete() Config {
	cfg := DefaultConfig()
	cfg.CX.TenantDomain, cfg.CX.AccessToken, cfg.Webhook.PathTokens = "acme.cx.sangoma.com", "token", []string{"path-token-0123456789"}
	return cfg
}

func TestEveryLiveKeyExists(t *testing.T) {
	s := schemaOf(reflect.TypeFor[Config]())
	for _, key := range liveKeys {
		if _, ok := s.leaves[key]; !ok && !s.sections[key] {
			t.Errorf("there is no %s", key)
		}
	}
	if isLive("cx.oauth_x") || isLive("cx") || isLive("cx.rate_bursts") || !isLive("cx.oauth.client_secret_file") {
		t.Error("isLive takes keys that are none")
	}
}

func TestComparedConfigurationsMergeToWhatCanChange(t *testing.T) {
	was, next := complete(), complete()
	if d := compare(was, next); len(d.live)+len(d.restart) != 0 {
		t.Errorf("the same differs: %v %v", d.live, d.restart)
	}
	next.Webhook.AllowNetworks = []string{} // as none
	next.CX.RateBurst, next.Log.Level, next.Streams.Replicas, next.Webhook.Listen = 7, "debug", 3, "127.0.0.1:1"
	d := compare(was, next)
	want := was
	want.CX.RateBurst, want.Log.Level = 7, "debug"
	if diff := cmp.Diff(want, d.merged); diff != "" {
		t.Errorf("merged (- want, + got):\n%s", diff)
	}
	if !slices.Equal(d.live, []string{"cx.rate_burst", "log.level"}) || !slices.Equal(d.restart, []string{"streams.replicas", "webhook.listen"}) {
		t.Errorf("live %v, restart %v", d.live, d.restart)
	}
}

// TestWhatIsOnlyRightAfterARestartChangesNothing: the token may go because the listener moves to loopback, and the listener moves only later.
func TestWhatIsOnlyRightAfterARestartChangesNothing(t *testing.T) {
	was, next := complete(), complete()
	was.Admin.Listen, was.Admin.Token = "0.0.0.0:8081", "s3cret"
	if err := checked(next); err != nil {
		t.Fatal(err)
	}
	p := &process{Bridge: &Bridge{log: slog.New(slog.DiscardHandler)}, operator: &adminServer{}, live: reloading{inForce: was}}
	p.operator.token.Store(&was.Admin.Token)
	err := p.reload(next, func(Reloaded) { t.Error("it was taken over") })
	if err == nil || !strings.Contains(err.Error(), "admin.listen") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("reload = %v", err)
	}
	if *p.operator.token.Load() != "s3cret" || p.inForce().Admin.Token != "s3cret" {
		t.Error("the token is gone")
	}
}

func TestAFileHasChangedWhenTheChangeIsSeenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	put := func(text string, at int64) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Unix(at, 0), time.Unix(at, 0)); err != nil {
			t.Fatal(err)
		}
	}
	put("one", 1)
	w := &fileWatch{paths: []string{path}, settled: true}
	w.stamp = w.look()
	see := func(want ...bool) {
		t.Helper()
		for i, w0 := range want {
			if got := w.changed(); got != w0 {
				t.Fatalf("look %d: %v, want %v", i, got, w0)
			}
		}
	}
	see(false, false)
	put("two", 2)
	see(false, true, false)
	put("three", 3)
	see(false)
	put("three, and more", 3)
	see(false, true, false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	see(false, true, false)
}
