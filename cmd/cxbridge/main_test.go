package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// TestMain lets scripts run the program of this test binary as "cxbridge", and fails when a goroutine is left.
func TestMain(m *testing.M) {
	testscript.Main(natstest.Leakproof{Tests: m}, map[string]func(){"cxbridge": main})
}

// TestCommandLine runs each script of testdata: what is typed, the exit status, and what is printed.
func TestCommandLine(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"waitfile": waitFile,
			"taken":    taken,
		},
	})
}

// exits runs a command line and compares its exit status: exits STATUS ARG...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: exits STATUS ARG...")
	}
	err := ts.Exec("sh", append([]string{"-c", `cxbridge "$@"; got=$?; test $got = ` + args[0] + ` || { echo "exit status $got, not ` + args[0] + `" >&2; exit 99; }`, "sh"}, args[1:]...)...)
	if err != nil {
		ts.Fatalf("cxbridge %s: %v", strings.Join(args[1:], " "), err)
	}
}

// waitFile waits until a file contains a text, for as long as the test may last: waitfile FILE TEXT.
func waitFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfile FILE TEXT")
	}
	err := ts.Exec("sh", "-c", `i=0; until grep -q -- "$2" "$1" 2>/dev/null; do i=$((i+1)); test $i -lt 2400 || exit 1; sleep 0.05; done`, "sh", args[0], args[1])
	if err != nil {
		ts.Fatalf("%q does not appear in %s", args[1], args[0])
	}
}

// taken occupies a port of loopback until the script ends and puts it into a variable: taken NAME.
func taken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: taken NAME")
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { ts.Check(l.Close()) })
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	ts.Setenv(args[0], port)
}

func TestHelpNamesEveryVerb(t *testing.T) {
	var out bytes.Buffer
	if status := execute(t.Context(), []string{"--help"}, &out, os.Stderr); status != exitDone {
		t.Fatalf("exit status %d", status)
	}
	for _, verb := range []string{"run", "demo", "check", "sim", "webhook", "bot", "inbox", "status", "dead", "explain", "pause", "resume", "version"} {
		if !strings.Contains(out.String(), "\n  "+verb+" ") {
			t.Errorf("--help does not name %s", verb)
		}
	}
}
