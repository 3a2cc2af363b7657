// Package lane runs jobs strictly in order per key and in parallel across
// keys, with a fixed number of workers. A job that has to wait keeps its place
// at the head of its lane but holds no worker, so that a lane that fails for an
// hour delays no other. See DESIGN.md.
package lane

import (
	"context"
	"sync"
	"time"
)

// Step runs a job once. With done the job is finished and its lane goes on
// with the next one, whatever wait says. Otherwise the same job runs again
// after wait (at once, but behind all other lanes that are ready, when wait is
// zero or less), and holds its lane but no worker meanwhile.
//
// One key never has two steps running at a time, and each call of a step
// happens after the former one of its lane has returned, so that a step may
// keep its state in its closure without locks.
type Step func(ctx context.Context) (wait time.Duration, done bool)

// Lanes holds the jobs. All its methods may be called by any goroutine, also
// from within a step. It costs no goroutine and no timer per lane.
type Lanes struct {
	workers int
	onPanic func(key string, recovered any, stack []byte)
	stepCtx context.Context // nil: Run's context without its end

	kick chan struct{} // tells the alarm that the earliest wake time has changed

	mu      sync.Mutex
	idle    []chan struct{} // of the workers that have nothing to do, the one that worked last at the end
	lanes   map[string]*lane
	ready   readyList
	waiting waitHeap
	ages    ageList
	jobs    int
	active  int
	panics  uint64
	phase   phase
}

type phase uint8

const (
	fresh    phase = iota // Run was not called yet
	running               // Run is at work
	stopping              // Run's context has ended, steps may still be running
	stopped               // Run has returned
)

// Option changes how the lanes work.
type Option func(*Lanes)

// WithOnPanic sets what is told of a step that panicked: its key, the value and
// the stack. It is called by the worker, before the lane's next attempt. The
// job stays at the head of its lane and runs again after a pause, see Run.
func WithOnPanic(told func(key string, recovered any, stack []byte)) Option {
	return func(l *Lanes) { l.onPanic = told }
}

// WithStepContext sets the context that every step gets, instead of Run's
// context without its end: by ending it the caller cuts running steps short.
func WithStepContext(ctx context.Context) Option {
	return func(l *Lanes) { l.stepCtx = ctx }
}

// New returns lanes with that many workers (at least one): so many steps run
// at a time. Jobs may be submitted at once; they begin with Run.
func New(workers int, opts ...Option) *Lanes {
	l := &Lanes{
		workers: max(workers, 1),
		onPanic: func(string, any, []byte) {},
		kick:    make(chan struct{}, 1),
		lanes:   make(map[string]*lane),
	}
	for _, opt := range opts {
		opt(l)
	}
	return l
}

// Submit puts a job at the end of the lane of its key. It never blocks; the
// order of Submit is the order of execution per key. How much is held is the
// caller's to limit, see Len. After the end of Run's context a job is dropped.
func (l *Lanes) Submit(key string, step Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.phase >= stopping {
		return
	}
	l.jobs++
	ln := l.lanes[key]
	if ln != nil {
		ln.jobs.push(step)
		return
	}
	ln = &lane{key: key, slot: notWaiting}
	ln.jobs.push(step)
	l.lanes[key] = ln
	l.ages.push(ln, time.Now())
	l.makeReady(ln)
}

// Wake lets the job at the head of a lane run now if it waits. If it is just
// running, the wait it returns is left out, so that a wake-up is never lost
// between the two. For any other lane it does nothing.
func (l *Lanes) Wake(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ln := l.lanes[key]
	switch {
	case ln == nil || l.phase >= stopping:
	case ln.running:
		ln.woken = true
	case ln.slot != notWaiting:
		l.waiting.remove(ln)
		l.makeReady(ln)
	}
}

// Len returns how many jobs are held, running ones included.
func (l *Lanes) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.jobs
}

// Stats is a picture of the lanes at one moment.
type Stats struct {
	Active  int    // steps that are running
	Waiting int    // jobs that are held and not running
	Lanes   int    // keys with at least one job
	Blocked int    // lanes whose head waits for its next attempt
	Panics  uint64 // steps that panicked, since New

	// OldestKey is the lane whose head has been the head for the longest time,
	// running, waiting or not begun yet, and OldestBlocked since when: the zero
	// time and an empty key when there is no lane. A watchdog looks at this.
	OldestKey     string
	OldestBlocked time.Time
}

// Stats takes constant time, whatever is held.
func (l *Lanes) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stats{
		Active:  l.active,
		Waiting: l.jobs - l.active,
		Lanes:   len(l.lanes),
		Blocked: len(l.waiting),
		Panics:  l.panics,
	}
	if first := l.ages.first; first != nil {
		s.OldestKey, s.OldestBlocked = first.key, first.since
	}
	return s
}

// makeReady puts a lane at the end of the ready ones. The caller holds mu.
func (l *Lanes) makeReady(ln *lane) {
	l.ready.push(ln)
	if last := len(l.idle) - 1; last >= 0 {
		l.idle[last] <- struct{}{}
		l.idle = l.idle[:last]
	}
}
