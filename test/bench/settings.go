package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/subjects"
)

// settings come from the environment; each benchmark has defaults of its own where one is 0.
type settings struct {
	rounds        int           // ROUNDS
	length        time.Duration // SECONDS, of one measurement
	count         int           // COUNT, commands in the backlog
	conversations int           // CONVERSATIONS
	fill          int           // FILL, events in the stream
	cells         []string      // CELLS, such as 20ms/64
	lazySync      bool          // SYNC=default, nats-server's own: to disk every two minutes
	signed        bool          // SIGN=1
	keep          bool          // KEEP=1: the bridge's log is printed
	binary        string        // BINARY, the bridge to measure instead of this source
}

func readSettings() (settings, error) {
	s := settings{
		lazySync: os.Getenv("SYNC") == "default", signed: os.Getenv("SIGN") != "", keep: os.Getenv("KEEP") != "", binary: os.Getenv("BINARY"),
		cells: strings.Fields(os.Getenv("CELLS")),
	}
	seconds := 0
	var problems []error
	for _, n := range []struct {
		name string
		into *int
	}{{"ROUNDS", &s.rounds}, {"SECONDS", &seconds}, {"COUNT", &s.count}, {"CONVERSATIONS", &s.conversations}, {"FILL", &s.fill}} {
		text := os.Getenv(n.name)
		if text == "" {
			continue
		}
		number, err := strconv.Atoi(text)
		if err != nil || number < 1 {
			problems = append(problems, fmt.Errorf("%s must be a number above 0, not %q", n.name, text))
		}
		*n.into = number
	}
	s.length = time.Duration(seconds) * time.Second
	return s, errors.Join(problems...)
}

func or[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// build makes the binary from this source, unless one is given.
func (b *bench) build(ctx context.Context) (string, error) {
	if b.settings.binary != "" {
		return filepath.Abs(b.settings.binary)
	}
	binary := filepath.Join(b.dir, "cxbridge")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "github.com/cxbridge/cxbridge/cmd/cxbridge")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return "", fmt.Errorf("build cxbridge: %w", err)
	}
	return binary, nil
}

// Names of the streams, and their settings as a bridge makes them by default.
func names() (subjects.Names, subjects.StreamSettings, error) {
	c := bridge.DefaultConfig()
	n, err := subjects.New(c.Subjects.Prefix)
	return n, subjects.StreamSettings{
		Replicas: c.Streams.Replicas, EventsMaxAge: c.Streams.EventsMaxAge, ResultsMaxAge: c.Streams.ResultsMaxAge, DeadMaxAge: c.Streams.DeadMaxAge,
		LedgerTTL: c.Commands.LedgerTTL, DuplicateWindow: c.Streams.DuplicateWindow,
	}, err
}
