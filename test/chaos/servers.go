package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Environment with which this binary, started once more, is a nats-server.
const (
	envPort  = "CXBRIDGE_CHAOS_NATS_PORT"
	envStore = "CXBRIDGE_CHAOS_NATS_STORE"
	envRoute = "CXBRIDGE_CHAOS_NATS_ROUTE"
	envPeers = "CXBRIDGE_CHAOS_NATS_PEERS"
)

// serveNATS is a member of a cluster of nats-servers until it is told to stop.
func serveNATS() error {
	port, err := strconv.Atoi(os.Getenv(envPort))
	if err != nil {
		return err
	}
	route, err := strconv.Atoi(os.Getenv(envRoute))
	if err != nil {
		return err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "chaos-" + os.Getenv(envPort), Host: loopback, Port: port, JetStream: true, StoreDir: os.Getenv(envStore),
		NoSigs: true, MaxPayload: 8 << 20,
		// The bridges are to keep to their proxies, so that no server tells them the addresses of the others.
		Cluster: server.ClusterOpts{Name: "chaos", Host: loopback, Port: route, NoAdvertise: true},
		Routes:  server.RoutesFromStr(os.Getenv(envPeers)),
	})
	if err != nil {
		return err
	}
	s.ConfigureLogger()
	s.Start()
	if !s.ReadyForConnections(time.Minute) {
		return errors.New("nats-server takes no connections")
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	<-ctx.Done()
	s.Shutdown()
	s.WaitForShutdown()
	return nil
}

// natsServer keeps its ports and its store over restarts.
type natsServer struct {
	*process
	name, dir, store string
	port             int
	env              []string
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://%s:%d", loopback, n.port) }

func (n *natsServer) start() (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	n.process, err = launch(n.name, n.dir, n.env, self)
	return err
}

const servers = 3

// newCluster describes the servers, which are not started yet. The first one stores in a directory that may be a small file system.
func newCluster(dir string, stores [servers]string, ports *ports) ([]*natsServer, error) {
	var all []*natsServer
	var routes, peers []string
	for range servers {
		port, err := ports.free()
		if err != nil {
			return nil, err
		}
		routes, peers = append(routes, strconv.Itoa(port)), append(peers, fmt.Sprintf("nats://%s:%d", loopback, port))
	}
	for i := range servers {
		port, err := ports.free()
		if err != nil {
			return nil, err
		}
		all = append(all, &natsServer{
			name: fmt.Sprintf("nats-%d", i+1), dir: dir, store: stores[i], port: port,
			env: []string{envPort + "=" + strconv.Itoa(port), envStore + "=" + stores[i], envRoute + "=" + routes[i], envPeers + "=" + strings.Join(peers, ",")},
		})
	}
	return all, nil
}
