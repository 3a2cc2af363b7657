//go:build unix

package spool_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/spool"
)

// fullDisk is the program of TestADiskThatFails: it limits the size of its files, which has the effect of a full disk, fills the spool
// until that shows, lifts the limit, and expects the spool to work again with everything in it.
func fullDisk(dir string) int {
	signal.Ignore(syscall.SIGXFSZ)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	s, err := spool.Open(ctx, spool.Config{Dir: dir, MaxBytes: 64 << 20}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	small := syscall.Rlimit{Cur: 256 << 10, Max: limit.Max}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &small); err != nil {
		fmt.Println(err)
		return 1
	}
	stored, err := fill(ctx, s)
	if err == nil || errors.Is(err, spool.ErrFull) {
		fmt.Println("the small disk does not show:", err)
		return 1
	}
	fmt.Println("stored", len(stored), "then:", err)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println(err)
		return 1
	}
	return recovered(ctx, s, stored)
}

func fill(ctx context.Context, s *spool.Spool) ([]string, error) {
	var stored []string
	for id := range 200 {
		m := message(id)
		m.Data = make([]byte, 20<<10)
		if err := s.Put(ctx, m); err != nil {
			return stored, err
		}
		stored = append(stored, fmt.Sprint(id))
	}
	return stored, nil
}

// recovered puts one more message as soon as the spool takes it, and looks whether all are there.
func recovered(ctx context.Context, s *spool.Spool, stored []string) int {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for s.Put(ctx, message(1000)) != nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			fmt.Println("the spool does not work again")
			return 1
		}
	}
	var got []string
	for {
		msg, ack, err := s.Next(ctx)
		if err == nil {
			err = ack()
		}
		if err != nil {
			fmt.Println("next:", err)
			return 1
		}
		if got = append(got, id(msg)); id(msg) == "1000" {
			break
		}
	}
	// The message that failed may be there or not.
	if text, want := strings.Join(got, " "), strings.Join(stored, " "); !strings.HasPrefix(text, want+" ") || len(got) > len(stored)+2 {
		fmt.Println("got", text, "want", want)
		return 1
	}
	if err := s.Close(); err != nil {
		fmt.Println("close:", err)
		return 1
	}
	return 0
}

func id(msg *nats.Msg) string { return msg.Header.Get("Nats-Msg-Id") }

func TestADiskThatFailsIsToldAndLosesNothing(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+config(t).Dir, childMode+"=disk")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
