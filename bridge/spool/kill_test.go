package spool_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/spool"
)

// In a process with these variables, this test binary is a program that fills a spool until it is killed.
const (
	childDir   = "SPOOL_TEST_DIR"
	childFirst = "SPOOL_TEST_FIRST"
	childMode  = "SPOOL_TEST_MODE"
)

// child puts messages and takes every second one out again, and tells each on its standard output after it was done.
func child(dir string) int {
	if os.Getenv(childMode) == "disk" {
		return fullDisk(dir)
	}
	id, err := strconv.Atoi(os.Getenv(childFirst))
	if err != nil {
		return 2
	}
	ctx := context.Background()
	s, err := spool.Open(ctx, spool.Config{Dir: dir, MaxBytes: 64 << 20}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println("error", err)
		return 1
	}
	for ; ; id++ {
		if err := s.Put(ctx, message(id)); err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("put", id)
		if id%2 == 1 {
			continue
		}
		msg, ack, err := s.Next(ctx)
		if err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("taken", msg.Header.Get("Nats-Msg-Id"))
		if err := ack(); err != nil {
			fmt.Println("error", err)
			return 1
		}
		fmt.Println("acked", msg.Header.Get("Nats-Msg-Id"))
	}
}

func TestNothingIsLostWhenTheProcessIsKilled(t *testing.T) {
	dir := config(t).Dir
	h := &history{put: map[int]bool{}, taken: map[int]bool{}, acked: map[int]bool{}, last: -1}
	for round := range 5 {
		runAndKill(t, dir, h, 40+17*round)
	}
	s := open(t, spool.Config{Dir: dir, MaxBytes: 64 << 20})
	last := -1
	for s.Stats().Messages > 0 {
		msg, ack := next(t, s)
		id, err := strconv.Atoi(msg.Header.Get("Nats-Msg-Id"))
		if err != nil {
			t.Fatal(err)
		}
		if id <= last {
			t.Fatalf("%d comes after %d", id, last)
		}
		if h.acked[id] {
			t.Errorf("%d is there again, though it was acknowledged", id)
		}
		last = id
		delete(h.put, id)
		if err := ack(); err != nil {
			t.Fatal(err)
		}
	}
	for id := range h.put {
		// What was taken may have been acknowledged without the time to tell.
		if !h.acked[id] && !h.taken[id] {
			t.Errorf("%d is lost", id)
		}
	}
}

// history is what the killed processes said.
type history struct {
	put, taken, acked map[int]bool
	last              int
}

// runAndKill lets a process work for some lines and kills it in the middle of what it does.
func runAndKill(t *testing.T, dir string, h *history, lines int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, fmt.Sprintf("%s=%d", childFirst, h.last+1000))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	scanner := bufio.NewScanner(out)
	for n := 0; scanner.Scan(); n++ {
		verb, rest, _ := strings.Cut(scanner.Text(), " ")
		id, err := strconv.Atoi(rest)
		if err != nil {
			t.Fatalf("child: %s", scanner.Text())
		}
		h.note(verb, id)
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the child ended by itself")
	}
}

func (h *history) note(verb string, id int) {
	switch verb {
	case "put":
		h.put[id] = true
		h.last = max(h.last, id)
	case "taken":
		h.taken[id] = true
	case "acked":
		h.acked[id] = true
	}
}
