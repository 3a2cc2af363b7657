package webhook

import (
	"container/list"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
)

// connections limits the number of open connections. Beyond the limit it closes the one that has been waiting for a request for longest, so
// that connections which are merely held open keep nobody out.
type connections struct {
	most int

	mu      sync.Mutex
	open    map[net.Conn]*list.Element // the element of a connection that waits; nil for one that is at work
	waiting *list.List                 // of net.Conn, the longest waiting first
}

func newConnections(most int) *connections {
	return &connections{most: most, open: make(map[net.Conn]*list.Element), waiting: list.New()}
}

func (c *connections) count() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(len(c.open))
}

// changed is told of each change of a connection's state.
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	if victim := c.note(conn, state); victim != nil {
		// Nothing can be done about a connection that does not close, and closing it makes the server forget it.
		_ = raw(victim).Close()
	}
}

// note keeps the state and returns the connection that has to go, if any.
func (c *connections) note(conn net.Conn, state http.ConnState) net.Conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.open[conn]; e != nil {
		c.waiting.Remove(e)
	}
	switch state {
	case http.StateNew, http.StateIdle:
		c.open[conn] = c.waiting.PushBack(conn)
	case http.StateActive:
		c.open[conn] = nil
	default:
		delete(c.open, conn)
	}
	if state != http.StateNew || len(c.open) <= c.most {
		return nil
	}
	victim, _ := c.waiting.Remove(c.waiting.Front()).(net.Conn)
	delete(c.open, victim)
	return victim
}

// raw returns what is below TLS, because closing TLS may take seconds.
func raw(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return conn
}
