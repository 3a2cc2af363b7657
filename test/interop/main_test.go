//go:build interop

package interop

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience bounds every wait for a condition; a passing run comes nowhere near it.
var patience = 5 * time.Minute

// binary is the path of the built cxbridge; it is built if the flag does not tell one.
var binary string

func TestMain(m *testing.M) {
	flag.DurationVar(&patience, "patience", patience, "how long to wait for what should happen")
	flag.StringVar(&binary, "cxbridge", "", "absolute path of a cxbridge that is built already")
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if err := preferInstalled(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "cxbridge-interop-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "cxbridge")
	build := exec.CommandContext(context.Background(), "go", "build", "-o", binary, "github.com/cxbridge/cxbridge/cmd/cxbridge")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building cxbridge:", err)
		return 1
	}
	return m.Run()
}

// preferInstalled lets commands that setup.sh installed here be found before others.
func preferInstalled() error {
	installed, err := filepath.Abs(filepath.Join(".cache", "bin"))
	if err != nil {
		return err
	}
	return os.Setenv("PATH", installed+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// eventually waits until a condition holds; it fails at once when a process that it depends on has ended.
func eventually(t *testing.T, what string, holds func() bool, needed ...*process) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		for _, p := range needed {
			if p.ended() {
				t.Fatalf("%s ended (%v) while waiting for: %s", p.name, p.cmd.ProcessState, what)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for: %s", patience, what)
		}
		<-time.After(50 * time.Millisecond) // between two looks
	}
}
