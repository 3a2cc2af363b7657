package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is a closed loop of webhook requests over kept connections: each sends its next event when the last one was answered.
type load struct {
	conns []*loadConn
	next  *atomic.Int64 // number of the next event, over all loads of a contender
}

type loadConn struct {
	conn  net.Conn
	in    *bufio.Reader
	out   *request
	took  []time.Duration
	taken int64 // answers 200
	wrong int64 // other answers
}

// stretch is what came of a stretch of load.
type stretch struct {
	taken, wrong int64
	took         []time.Duration
	length       time.Duration
}

func (b *bench) newLoad(ctx context.Context, address string, connections int, next *atomic.Int64) (*load, error) {
	l := &load{next: next}
	for range connections {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, errors.Join(err, l.close())
		}
		l.conns = append(l.conns, &loadConn{conn: conn, in: bufio.NewReader(conn), out: newRequest(b.signed)})
	}
	return l, nil
}

func (l *load) close() error {
	var errs []error
	for _, c := range l.conns {
		errs = append(errs, c.conn.Close())
	}
	return errors.Join(errs...)
}

// run keeps up the load for a while.
func (l *load) run(ctx context.Context, length time.Duration) (stretch, error) {
	began := time.Now()
	until := began.Add(length)
	errs := make([]error, len(l.conns))
	var all sync.WaitGroup
	for i, c := range l.conns {
		c.took, c.taken, c.wrong = c.took[:0], 0, 0
		all.Go(func() { errs[i] = c.loop(ctx, until, l.next) })
	}
	all.Wait()
	s := stretch{length: time.Since(began)}
	for _, c := range l.conns {
		s.taken, s.wrong, s.took = s.taken+c.taken, s.wrong+c.wrong, append(s.took, c.took...)
	}
	return s, errors.Join(errs...)
}

func (c *loadConn) loop(ctx context.Context, until time.Time, next *atomic.Int64) error {
	const conversations = 1000
	for at := time.Now(); at.Before(until) && ctx.Err() == nil; {
		n := next.Add(1)
		c.out.fill(n, n%conversations)
		status, err := c.exchange()
		if err != nil {
			return err
		}
		now := time.Now()
		if status == "200" {
			c.taken++
		} else {
			c.wrong++
		}
		c.took = append(c.took, now.Sub(at))
		at = now
	}
	return ctx.Err()
}

// exchange sends the request and reads the answer, of which it returns the status.
func (c *loadConn) exchange() (string, error) {
	if err := c.conn.SetDeadline(time.Now().Add(startTime)); err != nil {
		return "", err
	}
	if _, err := c.conn.Write(c.out.bytes); err != nil {
		return "", err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return "", fmt.Errorf("answer %q: %w", line, err)
	}
	status := "200"
	if string(line[9:12]) != status {
		status = string(line[9:12])
	}
	length := 0
	for len(line) > 2 {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return "", err
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return "", err
			}
		}
	}
	_, err = io.CopyN(io.Discard, c.in, int64(length))
	return status, err
}
