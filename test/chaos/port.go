package main

import (
	"fmt"
	"math/rand/v2"
	"net"
)

const loopback = "127.0.0.1"

// ports gives each port once. They are below the range from which operating systems give ports to connections, so that one is still free when its owner
// comes back. A socket for UDP of the same number would not help, because the owner is another process.
type ports struct{ next int }

const firstPort, lastPort = 15000, 30000

func newPorts() *ports { return &ports{next: firstPort + rand.IntN((lastPort-firstPort)/2)} }

// free returns a port on loopback that nobody listens on.
func (p *ports) free() (int, error) {
	for ; p.next < lastPort; p.next++ {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: p.next})
		if err != nil {
			continue
		}
		p.next++
		return p.next - 1, l.Close()
	}
	return 0, fmt.Errorf("no free port below %d", lastPort)
}

func at(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
