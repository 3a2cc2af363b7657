package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

const loopback = "127.0.0.1"

// freePort returns a port on loopback that nobody listens on, below the range from which operating systems give ports to connections, so that
// it is still free when its owner comes back. A socket for UDP of the same number would not help, because the owner is another process.
func freePort() (int, error) {
	for range 1000 {
		port := 15000 + rand.IntN(15000)
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		return port, l.Close()
	}
	return 0, errors.New("no free port between 15000 and 30000")
}

func at(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
