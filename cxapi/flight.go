package cxapi

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
)

// flight follows one request through the transport, to tell whether anything of it may have been written.
type flight struct {
	mu     sync.Mutex
	asked  bool // the transport reports to us at all
	opened bool // it got a connection that cannot be watched
	conns  []markedConn
}

type markedConn struct {
	conn *watchedConn
	mark int64
}

// watch returns a context whose request is followed.
func (f *flight) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.asked = true
		},
		GotConn: func(info httptrace.GotConnInfo) {
			f.mu.Lock()
			defer f.mu.Unlock()
			conn := watched(info.Conn)
			if conn == nil {
				f.opened = true
				return
			}
			f.conns = append(f.conns, markedConn{conn: conn, mark: conn.mark()})
		},
	})
}

// watched finds the watched connection below TLS; nil if there is none.
func watched(conn net.Conn) *watchedConn {
	for conn != nil {
		if w, ok := conn.(*watchedConn); ok {
			return w
		}
		under, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = under.NetConn()
	}
	return nil
}

// mayBeWritten reports whether the server may have got anything of the request, whose sending failed with err. The
// connections are sealed, so that a no stays true.
func (f *flight) mayBeWritten(err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.asked {
		return !isDialError(err)
	}
	written := f.opened
	for _, c := range f.conns {
		if c.conn.seal(c.mark) {
			written = true
		}
	}
	return written
}

// isDialError recognises an error of making the connection when the transport did not report to us.
func isDialError(err error) bool {
	var dns *net.DNSError
	var op *net.OpError
	return errors.As(err, &dns) || (errors.As(err, &op) && op.Op == "dial")
}
