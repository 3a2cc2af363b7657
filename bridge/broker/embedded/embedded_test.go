package embedded_test

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker/embedded"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func options(dir string) *server.Options {
	return &server.Options{ServerName: "test", DontListen: true, JetStream: true, StoreDir: dir, JetStreamMaxStore: 1 << 30, JetStreamMaxMemory: 1 << 20}
}

func TestOneServerPerDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "by", "start")
	log := slog.New(slog.DiscardHandler)
	first, err := embedded.Start(t.Context(), options(dir), log)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), options(dir), log); err == nil || !strings.Contains(err.Error(), "in use by another process (pid") {
		t.Errorf("second server on the directory: %v", err)
	}
	conn, err := nats.Connect("", nats.InProcessServer(first), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := first.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := first.InProcessConn(); err == nil {
		t.Error("a stopped server gave a connection")
	}
	second, err := embedded.Start(t.Context(), options(dir), log)
	if err != nil {
		t.Fatalf("after the first was stopped: %v", err)
	}
	if err := second.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestFatalErrorsOfTheServerAreReturned(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	o := options(t.TempDir())
	o.DontListen, o.Host, o.Port = false, "127.0.0.1", taken.Addr().(*net.TCPAddr).Port
	if _, err := embedded.Start(t.Context(), o, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), taken.Addr().String()) {
		t.Errorf("error does not name the address: %v", err)
	}
}

func TestStoreDirectoryThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := embedded.Start(t.Context(), options(file), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "store directory") {
		t.Errorf("error: %v", err)
	}
}

func TestHealth(t *testing.T) {
	s, err := embedded.Start(t.Context(), options(t.TempDir()), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	running := s.NATS()
	if err := embedded.Health(running); err != nil {
		t.Errorf("of a server that runs: %v", err)
	}
	if err := s.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := embedded.Health(running); err == nil {
		t.Error("a stopped server is well")
	}
}
