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

	mu    sync.Mutex
	open  map[net.Conn]*list.Element // of order
	order *list.List                 // of *connection, the one whose state has not changed for longest first
}

type connection struct {
	net.Conn
	waiting bool // for a request
}

func newConnections(most int) *connections {
	return &connections{most: most, open: make(map[net.Conn]*list.Element), order: list.New()}
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
	if state == http.StateNew {
		c.open[conn] = c.order.PushBack(&connection{Conn: conn, waiting: true})
		if len(c.open) > c.most {
			return c.longest()
		}
		return nil
	}
	e := c.open[conn]
	if e == nil {
		return nil // it had to go
	}
	if state != http.StateActive && state != http.StateIdle {
		c.forget(e)
		return nil
	}
	if held, ok := e.Value.(*connection); ok {
		held.waiting = state == http.StateIdle
	}
	c.order.MoveToBack(e)
	return nil
}

// longest forgets the connection that has been waiting for longest and returns it.
func (c *connections) longest() net.Conn {
	for e := c.order.Front(); e != nil; e = e.Next() {
		if held, ok := e.Value.(*connection); ok && held.waiting {
			c.forget(e)
			return held.Conn
		}
	}
	return nil
}

func (c *connections) forget(e *list.Element) {
	if held, ok := c.order.Remove(e).(*connection); ok {
		delete(c.open, held.Conn)
	}
}

// raw returns what is below TLS, because closing TLS may take seconds.
func raw(conn net.Conn) net.Conn {
	if t, ok := conn.(*tls.Conn); ok {
		return t.NetConn()
	}
	return conn
}
