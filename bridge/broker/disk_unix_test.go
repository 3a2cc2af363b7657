//go:build unix

package broker_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// In a process with this variable, this test binary is the program of TestEmbeddedServerSurvivesAFullDisk.
const childDir = "BROKER_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(childDir)
	if dir == "" {
		natstest.VerifyNoLeaks(m)
	}
	if err := fullDisk(dir); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// fullDisk limits the size of files, which has the effect of a full disk, publishes until that shows, lifts the limit, and expects
// the same connection to work again with everything in the stream.
func fullDisk(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), natstest.Patience)
	defer cancel()
	signal.Ignore(syscall.SIGXFSZ)
	prefix, err := subjects.New("cx")
	if err != nil {
		return err
	}
	c := broker.DefaultConfig()
	c.Embedded.Listen, c.Embedded.StoreDir = "", dir
	b, err := broker.Open(ctx, c, broker.Options{Names: prefix, Settings: settings(), Log: slog.New(slog.NewTextHandler(os.Stdout, nil))})
	if err != nil {
		return err
	}
	if err := b.Ready(ctx); err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 256 << 10, Max: limit.Max}); err != nil {
		return err
	}
	stored := uint64(0)
	for publish(ctx, b, make([]byte, 20<<10)) == nil {
		stored++
	}
	if stored == 0 || stored > 100 || b.Healthy(ctx) == nil {
		return fmt.Errorf("the small disk does not show: %d messages, health: %w", stored, b.Healthy(ctx))
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for publish(ctx, b, nil) != nil {
		<-tick.C
		if ctx.Err() != nil {
			return fmt.Errorf("the server does not work again: %w", b.Healthy(ctx))
		}
	}
	stream, err := b.JetStream().Stream(ctx, prefix.EventsStream())
	if err != nil {
		return err
	}
	if got := stream.CachedInfo().State.Msgs; got < stored+1 {
		return fmt.Errorf("%d messages are left of %d", got, stored+1)
	}
	return b.Close(ctx)
}

func publish(ctx context.Context, b *broker.Broker, data []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := b.JetStream().Publish(ctx, "cx.message.created", data)
	return err
}

func TestEmbeddedServerSurvivesAFullDisk(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+t.TempDir())
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
