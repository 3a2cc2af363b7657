package cxapi

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// TransportConfig tunes the connections to the API.
type TransportConfig struct {
	// MaxInFlight is how many calls may be under way at once; it bounds the connections to one host. Default 1,024.
	MaxInFlight int
	// DialTimeout bounds the making of a TCP connection. Default 5 s.
	DialTimeout time.Duration
	// TLSTimeout bounds the TLS handshake. Default 5 s.
	TLSTimeout time.Duration
	// IdleTimeout is how long an unused connection is kept. It should be shorter than the server's, since a call written
	// to a connection that the server is just closing has an unknown outcome. Default 30 s.
	IdleTimeout time.Duration
	// TLS is the TLS configuration; nil is Go's default.
	TLS *tls.Config
	// Dial makes the TCP connections; nil is a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// connBuffer is the size of the two buffers that each connection has. Calls and answers are a kilobyte in most cases; with a thousand connections
// the 4 KiB of net/http are 8 MB, for which the garbage collector allows as much again.
const connBuffer = 2 << 10

// NewTransport returns a transport for [WithHTTPClient]. Its connections remember whether anything of a request was
// written, so that a call that failed before that is known not to have been carried out; with another transport such
// a call is unknown. It speaks HTTP/1.1 only: with one connection per call in flight, a connection that breaks
// makes one outcome unknown and not hundreds.
func NewTransport(cfg TransportConfig) *http.Transport {
	inFlight := orDefault(cfg.MaxInFlight, 1024)
	dial := cfg.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: orDefault(cfg.DialTimeout, 5*time.Second), KeepAlive: 30 * time.Second}).DialContext
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: conn}, nil
		},
		TLSClientConfig:     cfg.TLS,
		TLSHandshakeTimeout: orDefault(cfg.TLSTimeout, 5*time.Second),
		Protocols:           &protocols,
		MaxConnsPerHost:     inFlight,
		MaxIdleConns:        inFlight,
		MaxIdleConnsPerHost: inFlight,
		IdleConnTimeout:     orDefault(cfg.IdleTimeout, 30*time.Second),
		ReadBufferSize:      connBuffer,
		WriteBufferSize:     connBuffer,
		DisableCompression:  true, // answers are small, and a cap on what is read should be a cap on what was sent
	}
}

func orDefault[T int | time.Duration](value, standard T) T {
	if value > 0 {
		return value
	}
	return standard
}

// errSealed is what a write to a connection gets whose request has been given up.
var errSealed = errors.New("connection given up")

// watchedConn counts what is written and can be sealed, after which nothing more is written. Sealing is what makes the
// answer to "was anything written?" final: a transport may write in another goroutine than the one that gave up.
type watchedConn struct {
	net.Conn

	mu      sync.Mutex
	written int64
	writing int
	sealed  bool
}

// Write writes to the connection unless it is sealed.
func (c *watchedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, errSealed
	}
	c.writing++
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.writing--
	c.written += int64(n)
	c.mu.Unlock()
	return n, err
}

// mark returns how much has been written until now.
func (c *watchedConn) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// seal forbids further writes and reports whether anything was, or may just be being, written since the mark.
func (c *watchedConn) seal(mark int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.writing > 0 || c.written > mark
}
