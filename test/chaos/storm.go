package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// storm carries out a plan. Each thing that can be disturbed has a lock, so that one piece of trouble after the other comes over it; different
// things are in trouble at the same time.
type storm struct {
	*world
	load      *load
	crowded   sync.Mutex             // one crowd at a time
	processes map[string]*sync.Mutex // by name
	ways      map[string]*sync.Mutex // "bus" or "api", and the name of the bridge

	mu      sync.Mutex
	freezes []freeze
	faults  map[int]cxsim.Fault // those that are set, by their number in the plan
	done    map[kind]int
	left    map[string]int // what could not be done here, and why
	failed  []error
	revived int
	nobody  int // times that no bridge was active when the active one was meant
}

func newStorm(w *world, l *load) *storm {
	s := &storm{world: w, load: l, processes: map[string]*sync.Mutex{}, ways: map[string]*sync.Mutex{}, faults: map[int]cxsim.Fault{}, done: map[kind]int{}, left: map[string]int{}}
	for _, b := range w.bridges {
		s.processes[b.name], s.ways["bus "+b.name], s.ways["api "+b.name] = &sync.Mutex{}, &sync.Mutex{}, &sync.Mutex{}
	}
	for _, n := range w.cluster {
		s.processes[n.name] = &sync.Mutex{}
	}
	return s
}

// blow begins each injection at its time, and returns when all are over.
func (s *storm) blow(ctx context.Context, plan []injection) error {
	begun := time.Now()
	var all sync.WaitGroup
	for number, i := range plan {
		if err := sleep(ctx, time.Until(begun.Add(i.At))); err != nil {
			break
		}
		all.Go(func() {
			err := s.inject(ctx, number, i)
			s.mu.Lock()
			defer s.mu.Unlock()
			if err != nil {
				s.failed = append(s.failed, fmt.Errorf("%s: %w", i, err))
			}
			s.done[i.Kind]++
		})
	}
	all.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.failed) > 0 {
		return s.failed[0]
	}
	return ctx.Err()
}

// supervise starts what ended because its disk was full, as the supervisor of a machine does. It returns when ctx ends.
func (s *storm) supervise(ctx context.Context) {
	for sleep(ctx, 300*time.Millisecond) == nil {
		for _, b := range s.bridges {
			s.revive(b.name, func() *process { return b.process }, b.start)
		}
		for _, n := range s.cluster {
			s.revive(n.name, func() *process { return n.process }, n.start)
		}
	}
}

func (s *storm) revive(name string, now func() *process, start func() error) {
	lock := s.processes[name]
	if !lock.TryLock() {
		return // it is being ended or started anyway
	}
	defer lock.Unlock()
	if !now().deserted() || !strings.Contains(tail(s.dir, name, 3), "no space left on device") {
		return
	}
	err := start()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revived++
	if err != nil {
		s.failed = append(s.failed, err)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *storm) inject(ctx context.Context, number int, i injection) error {
	switch i.Kind {
	case killBridge, stopBridge:
		return s.restartBridge(ctx, s.target(ctx, i.Target), i)
	case killBoth:
		var both sync.WaitGroup
		errs := make([]error, len(s.bridges))
		for n, b := range s.bridges {
			both.Go(func() { errs[n] = s.restartBridge(ctx, b, i) })
		}
		both.Wait()
		return firstOf(errs...)
	case freezeBridge, freezeClaims:
		return s.freezeBridge(ctx, s.target(ctx, i.Target), i)
	case freezeBacklog:
		return s.freezeBacklog(ctx, i)
	case killServer, stopServer, freezeServer, killLeader, killQuorum:
		return s.server(ctx, i)
	case disturbBus, disturbAPI:
		return s.disturb(ctx, s.target(ctx, i.Target), i)
	case fullServer:
		return s.fill(ctx, s.cluster[0].name, s.cluster[0].store, s.small[s.cluster[0].store], i.For, s.cluster[0].restartAfter)
	case fullSpool:
		return s.fullSpool(ctx, s.bridges[i.Target], i.For)
	case apiFault, deliverFault:
		return s.misbehave(ctx, number, i)
	}
	return fmt.Errorf("%s: no such kind", i.Kind)
}

func firstOf(errs ...error) error {
	at := slices.IndexFunc(errs, func(err error) bool { return err != nil })
	if at < 0 {
		return nil
	}
	return errs[at]
}

// target is a bridge by number, or the one that carries out commands.
func (s *storm) target(ctx context.Context, number int) *bridge {
	if number != active {
		return s.bridges[number%len(s.bridges)]
	}
	for _, b := range s.bridges {
		if b.active(ctx) {
			return b
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nobody++
	return s.bridges[0] // nobody is, for the moment
}

func (s *storm) restartBridge(ctx context.Context, b *bridge, i injection) error {
	lock := s.processes[b.name]
	lock.Lock()
	defer lock.Unlock()
	if i.Kind == stopBridge {
		b.stop(30 * time.Second)
	} else {
		b.kill()
	}
	if err := sleep(ctx, i.For); err != nil {
		return nil
	}
	return b.start()
}

func (s *storm) freezeBridge(ctx context.Context, b *bridge, i injection) error {
	lock, bus := s.processes[b.name], s.ways["bus "+b.name]
	lock.Lock()
	defer lock.Unlock()
	if i.Kind == freezeClaims {
		bus.Lock()
		defer bus.Unlock()
		b.busWay(dammed, 0)
		_ = sleep(ctx, gathering) // it ends earlier when the storm does
	}
	f := freeze{Bridge: b.name, From: time.Now()}
	b.freeze()
	if i.Kind == freezeClaims {
		b.busWay(open, 0)
		b.breathe(i.Breaths)
	}
	_ = sleep(ctx, i.For)
	s.awaitAnother(ctx, b)
	f.Till = time.Now()
	b.thaw()
	s.mu.Lock()
	s.freezes = append(s.freezes, f)
	s.mu.Unlock()
	return nil
}

// awaitAnother waits until another bridge is at work, which takes longer on a slow machine; but not for ever, as there may be none.
func (s *storm) awaitAnother(ctx context.Context, than *bridge) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for sleep(ctx, 200*time.Millisecond) == nil {
		for _, b := range s.bridges {
			if b != than && b.active(ctx) {
				return
			}
		}
	}
}

// gathering is how long answers to claims gather: less than a request waits for its answer.
const gathering = 900 * time.Millisecond

// breathe lets a frozen process go on for moments. It hears then that many claims are its own, and is stopped before it has made all their calls.
func (p *process) breathe(times int) {
	for range times {
		<-time.After(20 * time.Millisecond)
		before, limit := p.ran(), time.Now().Add(200*time.Millisecond)
		p.thaw()
		for p.ran()-before < breath && time.Now().Before(limit) {
			<-time.After(100 * time.Microsecond)
		}
		p.freeze()
	}
}

// breath is how much CPU time a frozen process gets at a time.
const breath = 600 * time.Microsecond

// ran is the CPU time that the process has used; 0 if the system does not tell.
func (p *process) ran() (sum time.Duration) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for _, name := range files {
		var spent int64
		if text, err := os.ReadFile(name); err == nil {
			_, _ = fmt.Sscan(string(text), &spent) // a thread that has ended meanwhile counts for nothing
		}
		sum += time.Duration(spent)
	}
	return sum
}

func (s *storm) server(ctx context.Context, i injection) error {
	first := s.cluster[i.Target]
	if i.Kind == killLeader {
		if first = s.leader(ctx, i.Stream); first == nil {
			first = s.cluster[i.Target] // there is none, for the moment
		}
	}
	hit := []*natsServer{first}
	if i.Kind == killQuorum {
		hit = append(hit, s.cluster[(i.Target+1)%servers])
	}
	var all sync.WaitGroup
	errs := make([]error, len(hit))
	for n, server := range hit {
		all.Go(func() { errs[n] = s.oneServer(ctx, server, i) })
	}
	all.Wait()
	return firstOf(errs...)
}

func (s *storm) oneServer(ctx context.Context, n *natsServer, i injection) error {
	lock := s.processes[n.name]
	lock.Lock()
	defer lock.Unlock()
	switch i.Kind {
	case freezeServer:
		n.freeze()
		_ = sleep(ctx, i.For) // it ends earlier when the storm does
		n.thaw()
		return nil
	case stopServer:
		n.stop(30 * time.Second)
	default:
		n.kill()
	}
	_ = sleep(ctx, i.For)
	return n.start()
}

// restartAfter starts a server again whose disk was full: it does not use its store any more until then.
func (n *natsServer) restartAfter() error {
	n.stop(30 * time.Second)
	return n.start()
}

func (s *storm) disturb(ctx context.Context, b *bridge, i injection) error {
	lock, set := s.ways["bus "+b.name], b.busWay
	if i.Kind == disturbAPI {
		lock, set = s.ways["api "+b.name], b.apiWay
	}
	lock.Lock()
	defer lock.Unlock()
	set(i.Way, 200*time.Millisecond)
	_ = sleep(ctx, i.For) // it ends earlier when the storm does
	set(open, 0)
	return nil
}

// misbehave sets a rule of the simulator for a while.
func (s *storm) misbehave(ctx context.Context, number int, i injection) error {
	s.setFault(number, &i.Fault)
	_ = sleep(ctx, i.For) // it ends earlier when the storm does
	s.setFault(number, nil)
	return nil
}

func (s *storm) setFault(number int, f *cxsim.Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f != nil {
		s.faults[number] = *f
	} else {
		delete(s.faults, number)
	}
	s.sim.ClearFaults()
	for _, n := range sorted(s.faults) {
		s.sim.Fault(s.faults[n])
	}
	if f == nil {
		s.sim.FlushDeliveries()
	}
}

// fill uses up a small file system for a while. The process of that name is left alone meanwhile, if there is one.
func (s *storm) fill(ctx context.Context, name, dir string, small bool, hold time.Duration, after func() error) error {
	if !small {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.left["full disk: "+s.whyNoDisk]++
		return nil
	}
	if lock := s.processes[name]; lock != nil {
		lock.Lock()
		defer lock.Unlock()
	}
	filler := filepath.Join(dir, "filler")
	if err := fillUp(filler); err != nil {
		return err
	}
	_ = sleep(ctx, hold) // it ends earlier when the storm does
	if err := os.Remove(filler); err != nil {
		return err
	}
	if after == nil {
		return nil
	}
	return after()
}

// fillUp writes a file until the file system is full.
func fillUp(name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, size := range []int{1 << 20, 4 << 10, 64} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	_ = f.Close() // it is full, and is to be
	return nil
}

func (s *storm) fullSpool(ctx context.Context, b *bridge, hold time.Duration) error {
	lock := s.ways["bus "+b.name]
	lock.Lock()
	defer lock.Unlock()
	b.busWay(shut, 0)
	defer b.busWay(open, 0)
	return s.fill(ctx, "", b.spool, s.small[b.spool], hold, nil)
}
