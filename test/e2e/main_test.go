//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// binary is the path of the built cxbridge.
var binary string

// Environment by which this test binary, started once more, is a nats-server.
const (
	envServerPort  = "CXBRIDGE_E2E_NATS_PORT"
	envServerStore = "CXBRIDGE_E2E_NATS_STORE"
	envServerRoute = "CXBRIDGE_E2E_NATS_ROUTE" // in a cluster: the server's own port for the others, and the routes to all of them
	envServerPeers = "CXBRIDGE_E2E_NATS_PEERS"
)

func TestMain(m *testing.M) {
	if os.Getenv(envServerPort) != "" {
		if err := serveNATS(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "cxbridge-e2e-")
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

// serveNATS is a nats-server with JetStream that syncs each message to disk unless SYNC=default, until it is told to stop.
func serveNATS() error {
	port, err := strconv.Atoi(os.Getenv(envServerPort))
	if err != nil {
		return err
	}
	options := &server.Options{
		ServerName: "e2e-" + os.Getenv(envServerPort), Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: os.Getenv(envServerStore),
		SyncAlways: os.Getenv("SYNC") != "default", NoSigs: true, DisableJetStreamBanner: true, MaxPayload: 8 << 20,
	}
	if route := os.Getenv(envServerRoute); route != "" {
		options.SyncAlways = false // a majority of servers is what makes a message safe
		options.Cluster.Name, options.Cluster.Host = "e2e", "127.0.0.1"
		if options.Cluster.Port, err = strconv.Atoi(route); err != nil {
			return err
		}
		options.Routes = server.RoutesFromStr(os.Getenv(envServerPeers))
	}
	s, err := server.NewServer(options)
	if err != nil {
		return err
	}
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return fmt.Errorf("nats-server takes no connections on port %d", port)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}
