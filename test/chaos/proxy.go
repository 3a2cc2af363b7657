package main

import (
	"context"
	"net"
	"sync"
	"time"
)

// way is what a proxy does with what comes through it.
type way int

const (
	open   way = iota // it passes
	slow              // it passes, each piece later
	shut              // connections are cut and refused
	silent            // connections stay and nothing passes
	deaf              // what the bridge says passes, what it is answered does not
	dammed            // what the bridge is answered gathers, and comes all at once when the way is open again
)

func (w way) String() string {
	return [...]string{"open", "slow", "cut", "silent", "deaf", "dammed"}[w]
}

// proxy is a TCP connection between a bridge and a server that can be disturbed. What was held back by silent and deaf is never sent later:
// the connections end when the way is open again, as those end that a firewall has forgotten.
type proxy struct {
	address, target string
	listener        net.Listener

	mu    sync.Mutex
	way   way
	delay time.Duration
	conns map[net.Conn]struct{}
	all   sync.WaitGroup
}

func newProxy(target string) (*proxy, error) {
	var c net.ListenConfig
	l, err := c.Listen(context.Background(), "tcp", loopback+":0")
	if err != nil {
		return nil, err
	}
	p := &proxy{address: l.Addr().String(), target: target, listener: l, conns: map[net.Conn]struct{}{}}
	p.all.Go(p.accept)
	return p, nil
}

func (p *proxy) accept() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return // it is closed
		}
		p.all.Go(func() { p.serve(in) })
	}
}

func (p *proxy) serve(in net.Conn) {
	if !p.enter(in) {
		return
	}
	defer p.leave(in)
	var d net.Dialer
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := d.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return
	}
	if !p.enter(out) {
		return
	}
	defer p.leave(out)
	var both sync.WaitGroup
	both.Go(func() { p.pump(in, out, false); hangUp(in, out) })
	both.Go(func() { p.pump(out, in, true); hangUp(in, out) })
	both.Wait()
}

func hangUp(conns ...net.Conn) {
	for _, c := range conns {
		_ = c.Close() // a second time, or after the other side
	}
}

// enter keeps a connection for the next change, unless connections are refused.
func (p *proxy) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.way == shut {
		reset(c)
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *proxy) leave(c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
	_ = c.Close() // mostly it is closed already
}

// reset ends a connection at once; whatever is under way is lost.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // without it the end is an ordinary one, which is a cut, too
	}
	_ = c.Close() // nobody is left to be told
}

// piece is what was read at one moment.
type piece struct {
	bytes []byte
	due   time.Time
}

// pump carries what one side says to the other, each piece at its time.
func (p *proxy) pump(from, to net.Conn, answers bool) {
	pieces := make(chan piece, 256)
	var writing sync.WaitGroup
	writing.Go(func() {
		for s := range pieces {
			if wait := time.Until(s.due); wait > 0 {
				<-time.After(wait)
			}
			for answers && p.is(dammed) {
				<-time.After(time.Millisecond)
			}
			if p.held(answers) {
				continue // the connection ends when the way is open again
			}
			if _, err := to.Write(s.bytes); err != nil {
				hangUp(from, to)
			}
		}
	})
	defer writing.Wait()
	defer close(pieces)
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			pieces <- piece{buffer[:n], time.Now().Add(p.lateness())}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) held(answers bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.way == silent || p.way == deaf && answers
}

func (p *proxy) is(w way) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.way == w
}

func (p *proxy) lateness() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.way != slow {
		return 0
	}
	return p.delay
}

// set changes what the proxy does. The delay is that of slow.
func (p *proxy) set(w way, delay time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	lost := p.way == silent || p.way == deaf
	p.way, p.delay = w, delay
	if lost || w == shut {
		for c := range p.conns {
			reset(c)
		}
	}
}

func (p *proxy) close() {
	p.set(shut, 0)
	_ = p.listener.Close() // there is nothing to be lost
	p.all.Wait()
}
