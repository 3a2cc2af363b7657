package natstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"testing"
)

// Ports are taken from below the range that operating systems hand out by themselves, so that nobody gets a port by chance
// while its server is stopped.
const (
	firstPort = 12000
	lastPort  = 32000
)

// port is a TCP port of a server. While the test runs it is kept from other tests of this package, also those of other
// processes, by a UDP socket of the same number.
type port struct {
	number int
	keeper net.PacketConn
}

// reserve finds a free port and keeps it until the test ends.
func reserve(t testing.TB) *port {
	t.Helper()
	for range 1000 {
		p, err := take(t.Context(), firstPort+rand.IntN(lastPort-firstPort))
		if err != nil {
			continue
		}
		t.Cleanup(func() {
			if err := p.keeper.Close(); err != nil {
				t.Errorf("natstest: %v", err)
			}
		})
		return p
	}
	t.Fatal("natstest: no free port on loopback")
	return nil
}

func take(ctx context.Context, number int) (*port, error) {
	address := fmt.Sprintf("127.0.0.1:%d", number)
	keeper, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", address)
	if err != nil {
		return nil, err
	}
	probe, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err == nil {
		err = probe.Close()
	}
	if err != nil {
		return nil, errors.Join(err, keeper.Close())
	}
	return &port{number: number, keeper: keeper}, nil
}
