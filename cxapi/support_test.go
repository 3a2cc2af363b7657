package cxapi

import (
	"io"
	"log"
	"net"
	"sync/atomic"
	"syscall"
)

func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }

// cuttable is a connection that refuses to write from some time on.
type cuttable struct {
	net.Conn
	isCut atomic.Bool
}

func (c *cuttable) cut() { c.isCut.Store(true) }

func (c *cuttable) Write(p []byte) (int, error) {
	if c.isCut.Load() {
		return 0, &net.OpError{Op: "write", Net: "tcp", Err: syscall.EPIPE}
	}
	return c.Conn.Write(p)
}
