//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

var (
	portsMu sync.Mutex
	ports   = map[int]bool{}
)

// freePort returns a port on loopback that nobody listens on, below the range from which operating systems give ports to connections.
func freePort(t *testing.T) int {
	t.Helper()
	portsMu.Lock()
	defer portsMu.Unlock()
	for range 1000 {
		port := 15000 + rand.IntN(15000)
		if ports[port] {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		ports[port] = true
		return port
	}
	t.Fatal("no free port between 15000 and 30000")
	return 0
}

func localhost(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
