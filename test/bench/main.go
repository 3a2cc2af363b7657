// Command bench measures the built bridge beside a minimal floor: the least program that does the same work without any of the promises. Both
// are processes with a nats-server each, which syncs every message to disk, and take turns in the same run, so that what the machine does
// meanwhile falls on both. What counts is the ratio; the figures themselves are those of this machine at this hour.
//
//	go run ./test/bench ingest     webhooks in, at 1, 16, 64 and 256 connections
//	go run ./test/bench growth     the same as the stream of events grows
//	go run ./test/bench commands   commands out, from a backlog
//	go run ./test/bench backlog    memory with very many commands waiting
//	go run ./test/bench age        from the publishing of a command to its API call
//	go run ./test/bench fairness   the same while one conversation fails all the time
//	go run ./test/bench console    a burst of events while somebody watches the console
//	go run ./test/bench telemetry  what metrics, log, console and traces cost
//
// It reads CPU time and memory from /proc, so it needs Linux. DESIGN.md beside this file tells what is measured, and the environment
// variables that change it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// benchmark is one of what can be measured.
type benchmark struct {
	name string
	run  func(ctx context.Context, b *bench) error
}

func benchmarks() []benchmark {
	return []benchmark{{"ingest", ingest}, {"growth", growth}, {"commands", commands}, {"backlog", backlog}, {"age", age}, {"fairness", fairness}, {"console", console}, {"telemetry", telemetry}}
}

func run(ctx context.Context, names []string) error {
	if role := os.Getenv(envRole); role != "" {
		return play(ctx, role)
	}
	all := benchmarks()
	if len(names) == 0 {
		names = []string{"ingest", "commands", "age"}
	}
	for _, name := range names {
		i := slices.IndexFunc(all, func(b benchmark) bool { return b.name == name })
		if i < 0 {
			return fmt.Errorf("%q is none of: %s", name, strings.Join(known(all), ", "))
		}
		if err := measure(ctx, all[i]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func known(all []benchmark) (names []string) {
	for _, b := range all {
		names = append(names, b.name)
	}
	return names
}

// bench is one run of a benchmark.
type bench struct {
	settings
	dir    string   // for everything that is written; removed at the end
	binary string   // the bridge
	env    []string // of the bridge, besides the bench's own
	copies int
}

func measure(ctx context.Context, what benchmark) (err error) {
	b := &bench{}
	if b.settings, err = readSettings(); err != nil {
		return err
	}
	if b.dir, err = os.MkdirTemp("", "cxbridge-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(b.dir)) }()
	if b.binary, err = b.build(ctx); err != nil {
		return err
	}
	fmt.Printf("\n%s\n", strings.ToUpper(what.name))
	return what.run(ctx, b)
}

// play is what a process does that the bench started from its own binary.
func play(ctx context.Context, role string) error {
	switch role {
	case roleNATS:
		return serveNATS(ctx)
	case roleStub:
		return serveStub(ctx)
	case roleIngest:
		return serveFloorIngest(ctx)
	case roleCommands:
		return serveFloorCommands(ctx)
	}
	return fmt.Errorf("%s: no such role", role)
}
