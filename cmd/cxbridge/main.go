// Command cxbridge connects Sangoma CX with NATS JetStream. Each command line verb has a file of its own; see root.go for the list.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/cxbridge/cxbridge/bridge"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage or configuration
)

func main() {
	os.Exit(execute(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// execute runs one command line and returns its exit status.
func execute(ctx context.Context, args []string, out, errOut io.Writer) int {
	ctx, stop := untilSignal(ctx, os.Exit)
	defer stop()
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var told toldError
	if !errors.As(err, &told) {
		// Nothing is left to do when standard error is gone.
		_, _ = fmt.Fprintf(errOut, "cxbridge: %v\n", err)
	}
	return exitStatus(err)
}

func exitStatus(err error) int {
	var usage usageError
	var config *bridge.ConfigError
	if errors.As(err, &usage) || errors.As(err, &config) {
		return exitUsage
	}
	return exitFailed
}

// usageError is a command line that cannot be understood.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }

func (e usageError) Unwrap() error { return e.err }

// toldError has been told already, for example as data; only the exit status is left.
type toldError struct{ err error }

func (e toldError) Error() string { return e.err.Error() }

func (e toldError) Unwrap() error { return e.err }
