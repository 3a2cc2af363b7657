package main

import (
	"io"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func TestASeedIsAPlan(t *testing.T) {
	a, b := newPlan(7, 10*time.Minute, leaseTTL), newPlan(7, 10*time.Minute, leaseTTL)
	if !reflect.DeepEqual(a, b) {
		t.Error("the same seed gives two plans")
	}
	if reflect.DeepEqual(a, newPlan(8, 10*time.Minute, leaseTTL)) {
		t.Error("two seeds give the same plan")
	}
	short := newPlan(7, time.Minute, leaseTTL)
	if !reflect.DeepEqual(short, a[:len(short)]) {
		t.Error("a shorter storm is not the beginning of a longer one")
	}
}

func TestAPlanHasEveryKindOfTrouble(t *testing.T) {
	seen, ways, effects := map[kind]bool{}, map[way]bool{}, map[cxsim.Effect]bool{}
	sim := cxsim.New(cxsim.Options{})
	defer sim.Close()
	for seed := range uint64(50) {
		for _, i := range newPlan(seed, 5*time.Minute, leaseTTL) {
			seen[i.Kind], ways[i.Way] = true, true
			if i.Fault.Effect != "" {
				effects[i.Fault.Effect] = true
				sim.Fault(i.Fault) // panics if there is no such fault
			}
			if (i.Kind == freezeBridge || i.Kind == freezeClaims || i.Kind == freezeBacklog) && i.For <= leaseTTL {
				t.Errorf("seed %d: %s: not longer than the lease", seed, i)
			}
		}
	}
	if len(seen) != len(kinds()) {
		t.Errorf("%d of %d kinds: %v", len(seen), len(kinds()), seen)
	}
	if len(ways) != 5 { // dammed belongs to a freeze
		t.Errorf("ways: %v", ways)
	}
	if len(effects) != 15+12-4 { // delay, malformed, empty and oversized are effects of calls and of deliveries
		t.Errorf("%d effects: %v", len(effects), effects)
	}
}

// echo is a server that says what it hears.
func echo(t *testing.T) string {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); c.Close() }()
		}
	}()
	return l.Addr().String()
}

func TestAProxyIsInTheWay(t *testing.T) {
	p, err := newProxy(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	say := func(c net.Conn) error {
		if _, err := c.Write([]byte("hello")); err != nil {
			return err
		}
		_, err := io.ReadFull(c, make([]byte, 5))
		return err
	}
	refused := func() bool {
		c, err := net.Dial("tcp", p.address)
		if err != nil {
			return true // the reset was faster
		}
		defer c.Close()
		return say(c) != nil
	}
	first := dial()
	if err := say(first); err != nil {
		t.Fatalf("open: %v", err)
	}
	p.set(slow, 50*time.Millisecond)
	begun := time.Now()
	if err := say(first); err != nil || time.Since(begun) < 100*time.Millisecond {
		t.Errorf("slow: %v after %s", err, time.Since(begun))
	}
	for _, w := range []way{shut, silent, deaf} {
		p.set(open, 0)
		c := dial()
		if err := say(c); err != nil {
			t.Fatalf("before %s: %v", w, err)
		}
		p.set(w, 0)
		if w == shut {
			if say(c) == nil || !refused() {
				t.Errorf("a connection lives although the way is shut")
			}
			continue
		}
		if _, err := c.Write([]byte("hello")); err != nil {
			t.Errorf("%s: %v", w, err)
		}
		p.set(open, 0)
		if n, err := c.Read(make([]byte, 5)); err == nil {
			t.Errorf("%s: %d bytes came although they were lost", w, n)
		}
	}
	p.set(open, 0)
	if err := say(dial()); err != nil {
		t.Errorf("open again: %v", err)
	}
}

func TestAPlanOfChosenKindsHasNoOther(t *testing.T) {
	plan := newPlan(7, time.Minute, leaseTTL, freezeBacklog, killBridge)
	for n, i := range plan {
		if i.Kind != freezeBacklog && i.Kind != killBridge {
			t.Errorf("%s was not chosen", i)
		}
		if n > 0 && i.At < plan[n-1].At+plan[n-1].For {
			t.Errorf("%s begins before the former is over", i)
		}
	}
	if len(plan) < 5 {
		t.Errorf("%d pieces of trouble in a minute", len(plan))
	}
	if _, err := (options{kinds: "freeze-backlog,earthquake"}).chosen(); err == nil {
		t.Error("a kind that there is not is taken")
	}
}
