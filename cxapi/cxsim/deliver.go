package cxsim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// delivery is one event on its way to one receiver.
type delivery struct {
	seq          int64
	tenant       *Tenant
	target       target
	event        string
	conversation int64
	message      int64
	payload      *payload
	batch        *batch

	judged   bool
	verdict  verdict
	released bool // has been held back already
	attempt  int
}

// batch counts the deliveries of one change, for the answer that has to wait for them.
type batch struct {
	mu   sync.Mutex
	open int
	zero chan struct{} // closed while there are none
}

func newBatch() *batch {
	b := &batch{zero: make(chan struct{})}
	close(b.zero)
	return b
}

func (b *batch) add() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == 0 {
		b.zero = make(chan struct{})
	}
	b.open++
}

func (b *batch) done() {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open--; b.open == 0 {
		close(b.zero)
	}
}

func (b *batch) wait(contexts ...context.Context) {
	b.mu.Lock()
	zero := b.zero
	b.mu.Unlock()
	select {
	case <-zero:
	case <-contexts[0].Done():
	case <-contexts[1].Done():
	}
}

// laneKey is what deliveries are kept in order by: one conversation to one receiver.
type laneKey struct {
	tenant       *Tenant
	channel      Channel
	target       int64
	conversation int64
	alone        int64 // when order is not kept
}

type lane struct {
	key   laneKey
	queue []*delivery
	held  []*delivery // to be sent after the next one
	busy  bool        // with a worker, or waiting for a time
}

// dispatcher sends deliveries with a bounded number of workers, which exist only while there is work.
type dispatcher struct {
	sim *Sim

	mu      sync.Mutex
	lanes   map[laneKey]*lane
	ready   []*lane
	running int
	seq     int64
	waiting int // deliveries not done with
	paused  bool
	closed  bool
	timers  map[*time.Timer]struct{}
	workers sync.WaitGroup
}

func newDispatcher(s *Sim) *dispatcher {
	return &dispatcher{sim: s, lanes: map[laneKey]*lane{}, timers: map[*time.Timer]struct{}{}}
}

func (o *dispatcher) enqueue(d *delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seq++
	d.seq = o.seq
	if o.closed {
		d.batch.done()
		return
	}
	o.waiting++
	key := laneKey{tenant: d.tenant, channel: d.target.channel, target: d.target.id, conversation: d.conversation}
	if o.sim.opt.Unordered {
		key.alone = d.seq
	}
	l := o.lanes[key]
	if l == nil {
		l = &lane{key: key}
		o.lanes[key] = l
	}
	l.queue = append(l.queue, d)
	o.offer(l)
}

// offer makes a lane known to the workers if it has something to do. The dispatcher is locked.
func (o *dispatcher) offer(l *lane) {
	if l.busy || o.closed {
		return
	}
	if len(l.queue) == 0 {
		if len(l.held) == 0 {
			delete(o.lanes, l.key)
		}
		return
	}
	l.busy = true
	o.ready = append(o.ready, l)
	o.hire()
}

// hire starts as many workers as are of use. The dispatcher is locked.
func (o *dispatcher) hire() {
	if o.paused || o.closed {
		return
	}
	for range min(o.sim.opt.DeliveryWorkers-o.running, len(o.ready)) {
		o.running++
		o.workers.Go(o.work)
	}
}

func (o *dispatcher) work() {
	for {
		l, d := o.next()
		if d == nil {
			return
		}
		o.settle(l, d, o.sim.send(d))
	}
}

func (o *dispatcher) next() (*lane, *delivery) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.paused || o.closed || len(o.ready) == 0 {
		o.running--
		return nil, nil
	}
	l := o.ready[0]
	o.ready[0] = nil
	o.ready = o.ready[1:]
	return l, l.queue[0]
}

// outcome is how an attempt ended.
type outcome struct {
	again time.Duration // the same delivery is to be tried after this time
	retry bool
	hold  bool // after the next delivery of the lane
}

func (o *dispatcher) settle(l *lane, d *delivery, how outcome) {
	o.mu.Lock()
	switch {
	case how.retry:
		o.after(how.again, func() {
			l.busy = false
			o.offer(l)
		})
	case how.hold:
		l.queue = l.queue[1:]
		l.held = append(l.held, d)
		if d.verdict.Delay > 0 {
			o.after(d.verdict.Delay, func() { o.release(l) })
		}
		l.busy = false
		o.offer(l)
	default:
		l.queue[0] = nil
		l.queue = l.queue[1:]
		if len(l.held) > 0 {
			l.queue, l.held = slices.Concat(l.held, l.queue), nil
		}
		o.waiting--
		d.batch.done()
		l.busy = false
		o.offer(l)
	}
	o.mu.Unlock()
	o.sim.waiting.wake()
}

// release puts what was held back at the end of its lane. The dispatcher is locked.
func (o *dispatcher) release(l *lane) {
	l.queue = append(l.queue, l.held...)
	l.held = nil
	o.offer(l)
}

// after does something at a later time, with the dispatcher locked; never after close. The dispatcher is locked.
func (o *dispatcher) after(d time.Duration, do func()) {
	if o.closed {
		return
	}
	var timer *time.Timer
	o.workers.Add(1)
	timer = time.AfterFunc(d, func() {
		defer o.workers.Done()
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.timers, timer)
		if !o.closed {
			do()
		}
	})
	o.timers[timer] = struct{}{}
}

func (o *dispatcher) waitingCount() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// close ends the workers. The simulator's context has ended, so none of them stays in a request.
func (o *dispatcher) close() {
	o.mu.Lock()
	o.closed = true
	for timer := range o.timers {
		if timer.Stop() {
			o.workers.Done()
		}
	}
	o.mu.Unlock()
	o.workers.Wait()
}

// PauseDeliveries keeps events from being sent; those under way are finished.
func (s *Sim) PauseDeliveries() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.paused = true
}

// ResumeDeliveries sends what has gathered since PauseDeliveries.
func (s *Sim) ResumeDeliveries() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	s.out.paused = false
	s.out.hire()
}

// FlushDeliveries sends what EffectReorder has held back and nothing came after.
func (s *Sim) FlushDeliveries() {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	for _, l := range s.out.lanes {
		if len(l.held) > 0 {
			s.out.release(l)
		}
	}
}

// WaitingDeliveries is how many deliveries have not been done with: waiting, under way, held back or to be repeated.
func (s *Sim) WaitingDeliveries() int { return s.out.waitingCount() }
