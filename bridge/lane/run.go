package lane

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"
)

// ErrRan is returned by a second call of Run: lanes run once.
var ErrRan = errors.New("lane: run was called before")

// The pause after a step that panicked: doubled each time it happens to the
// same job in a row, up to the limit.
const (
	panicPause    = time.Second
	maxPanicPause = time.Minute
)

// Run lets the workers work until ctx ends. From then on no job begins, and
// Run returns as soon as the running steps have returned; what was not begun,
// or was waiting for another attempt, is dropped (whoever submitted it has it
// still: the bus delivers it again). Run returns nil, or ErrRan when it was
// called before.
//
// The end of ctx does not end the context of a running step, so that a step
// can bring to an end what it has begun. A step limits itself, or ends with
// the context given by WithStepContext.
//
// A step that panics is told to WithOnPanic and counted in Stats. Its job is
// not given up, as later jobs of the key would overtake it: it runs again
// after a second, two, four, at most a minute; other lanes do not notice.
func (l *Lanes) Run(ctx context.Context) error {
	l.mu.Lock()
	if l.phase != fresh {
		l.mu.Unlock()
		return ErrRan
	}
	l.phase = running
	l.mu.Unlock()

	stepCtx := l.stepCtx
	if stepCtx == nil {
		stepCtx = context.WithoutCancel(ctx)
	}
	unhook := context.AfterFunc(ctx, l.stop)
	defer unhook()
	var all sync.WaitGroup
	for range l.workers {
		all.Go(func() { l.work(ctx, stepCtx) })
	}
	all.Go(func() { l.alarm(ctx) })
	all.Wait()
	l.drop()
	return nil
}

// stop sends the workers home.
func (l *Lanes) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = max(l.phase, stopping)
	for _, worker := range l.idle {
		worker <- struct{}{}
	}
	l.idle = nil
}

// drop forgets all that was not done.
func (l *Lanes) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.phase = stopped
	l.lanes = nil
	l.ready, l.ages, l.waiting, l.jobs = readyList{}, ageList{}, nil, 0
}

// work is one worker.
func (l *Lanes) work(ctx, stepCtx context.Context) {
	roused := make(chan struct{}, 1)
	for {
		ln, step := l.take(ctx, roused)
		if ln == nil {
			return
		}
		wait, done := l.call(stepCtx, ln, step)
		l.settle(ln, wait, done)
	}
}

// take waits for a lane that is ready; nil means the end. Of those who wait the one that worked last is roused first: its stack has grown already,
// and those of workers that are not needed shrink.
func (l *Lanes) take(ctx context.Context, roused chan struct{}) (*lane, Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.ready.first == nil && l.phase == running {
		l.idle = append(l.idle, roused)
		l.mu.Unlock()
		<-roused
		l.mu.Lock()
	}
	if l.phase != running || ctx.Err() != nil {
		return nil, nil
	}
	ln := l.ready.pop()
	ln.running, ln.woken = true, false
	l.active++
	return ln, ln.jobs.first()
}

// call runs a step once and turns a panic into a pause.
func (l *Lanes) call(ctx context.Context, ln *lane, step Step) (wait time.Duration, done bool) {
	defer func() {
		if r := recover(); r != nil {
			wait, done = l.panicked(ln), false
			l.onPanic(ln.key, r, debug.Stack())
		}
	}()
	wait, done = step(ctx)
	ln.panics = 0
	return wait, done
}

func (l *Lanes) panicked(ln *lane) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.panics++
	pause := min(panicPause<<ln.panics, maxPanicPause)
	ln.panics = min(ln.panics+1, 6)
	return pause
}

// settle puts a lane where it belongs after a step: away if it is empty,
// otherwise behind all that are ready or into the heap.
func (l *Lanes) settle(ln *lane, wait time.Duration, done bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active--
	ln.running = false
	if done {
		l.finish(ln)
		return
	}
	if wait <= 0 || ln.woken {
		l.makeReady(ln)
		return
	}
	l.waiting.add(ln, time.Now().Add(wait))
	if ln.slot == 0 {
		l.ring()
	}
}

// finish takes the head off its lane. The caller holds mu.
func (l *Lanes) finish(ln *lane) {
	l.jobs--
	l.ages.remove(ln)
	ln.jobs.pop()
	if ln.jobs.len() == 0 {
		delete(l.lanes, ln.key)
		return
	}
	l.ages.push(ln, time.Now())
	l.makeReady(ln)
}

// ring lets the alarm look at the heap again.
func (l *Lanes) ring() {
	select {
	case l.kick <- struct{}{}:
	default: // it is going to look anyway
	}
}

// alarm makes waiting lanes ready when their time has come. It has the one
// timer for all of them.
func (l *Lanes) alarm(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if next, some := l.wakeDue(); some {
			timer.Reset(next)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-l.kick:
		}
	}
}

// wakeDue makes ready what is due, and returns the time to the next one.
func (l *Lanes) wakeDue() (next time.Duration, some bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for len(l.waiting) > 0 {
		ln := l.waiting[0]
		if wait := ln.wakeAt.Sub(now); wait > 0 {
			return wait, true
		}
		l.waiting.remove(ln)
		l.makeReady(ln)
	}
	return 0, false
}
