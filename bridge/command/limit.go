package command

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

// The circuit breaker opens when that many calls in a row failed, of that many different lanes: a few commands that fail alone must be able
// to use up their budget. It lets one call through after a while, and closes when that one succeeds.
const (
	breakerFailures = 20
	breakerLanes    = 5
	breakerOpenFor  = 5 * time.Second
)

const (
	stretch  = time.Second // in which calls are counted to adapt the rate
	decisive = 10          // calls, half of them refused, are enough to adapt it at once
	slowest  = 1.0         // calls a second, unless configured lower
	rise     = 1.1

	lookAgain   = time.Minute // for a job that is going to be woken
	breakerLook = 200 * time.Millisecond

	spare     = 8                      // one more permit than calls at once for each so many, to be claimed meanwhile
	spareFlow = 100 * time.Millisecond // as long as calls end that often
)

var (
	errNotMade = errors.New("the call was not made")
	errDown    = errors.New("the API is down")
)

// gate decides when a call may be made: not while commands are paused, not while the API asked to wait, not while the circuit breaker is
// open, not faster than the rate allows, and not more at once than configured. Jobs pass it in the order in which they came to it.
type gate struct {
	log     *slog.Logger
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
	changed func()        // told when pulling may go on
	slots   int           // calls at once; 0 for any number
	lines   chan struct{} // holds a token for each call that may begin now; nil for any number

	mu      sync.Mutex
	paused  bool
	barred  bool      // the pulling was told not to go on, and is to be told when it may
	hold    time.Time // no call before
	limiter *rate.Limiter
	most    rate.Limit // as configured
	ceiling rate.Limit // the highest rate at which the API refused calls
	window  time.Time  // when the first of the calls was that are counted
	calls   int
	limited int                 // of them, refused because of their rate
	failing map[string]struct{} // lanes that failed since the last success
	ended   time.Time           // when the last call ended
	queue   []*permit
	granted map[*permit]struct{}
	timer   *time.Timer
	wake    func(key string)
}

// permit is a job's place in the queue, and then its right to make one call.
type permit struct {
	key    string
	state  permitState
	line   bool        // it has one of the lines, and so may call at once
	report func(error) // to the breaker, once
}

type permitState uint8

const (
	permitIdle permitState = iota
	permitQueued
	permitGranted
)

func newGate(perSecond float64, burst int, log *slog.Logger) *gate {
	g := &gate{log: log, most: rate.Inf, failing: map[string]struct{}{}, granted: map[*permit]struct{}{}, changed: func() {}, wake: func(string) {}}
	if perSecond > 0 {
		g.most = rate.Limit(perSecond)
	}
	g.limiter = rate.NewLimiter(g.most, max(burst, 1))
	g.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout: breakerOpenFor,
		ReadyToTrip: func(c gobreaker.Counts) bool {
			return c.ConsecutiveFailures >= breakerFailures && len(g.failing) >= breakerLanes
		},
		IsSuccessful: func(err error) bool { return err == nil },
		IsExcluded:   func(err error) bool { return errors.Is(err, errNotMade) },
		OnStateChange: func(_ string, from, to gobreaker.State) {
			log.Warn("circuit breaker", "from", from.String(), "to", to.String())
		},
	})
	return g
}

// limitCalls sets how many calls may be made at once.
func (g *gate) limitCalls(most int) {
	g.slots, g.lines = most, make(chan struct{}, most)
	for range most {
		g.lines <- struct{}{}
	}
}

// room is how many permits may be granted. While calls end one after the other there are a few more than calls at once, so that commands are
// claimed while others are called; not while the API hangs, as a claim without a call is an unknown outcome to who finds it after a crash. The caller holds mu.
func (g *gate) room(now time.Time) int {
	if now.Sub(g.ended) > spareFlow {
		return g.slots
	}
	return g.slots + (g.slots+spare-1)/spare
}

// seize waits until fewer calls are made than may be at once, and takes the place of one until the permit is given back. It reports false
// if ctx ended.
func (g *gate) seize(ctx context.Context, p *permit) bool {
	if g.lines == nil || p.line {
		return true
	}
	select {
	case <-g.lines:
		p.line = true
		return true
	case <-ctx.Done():
		return false
	}
}

// attach begins a term: jobs are woken by wake, and changed is called when pulling may go on.
func (g *gate) attach(wake func(key string), changed func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake, g.changed = wake, changed
}

// detach ends a term, in which no job runs any more, and forgets who waits.
func (g *gate) detach() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.granted {
		g.finish(p, errNotMade)
	}
	g.queue, g.wake, g.changed = nil, func(string) {}, func() {}
	if g.timer != nil {
		g.timer.Stop()
	}
}

// enter asks for the right to make a call. If it is not granted yet, the job is woken when it is.
func (g *gate) enter(p *permit) (granted bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch p.state {
	case permitGranted:
		return true
	case permitIdle:
		p.state = permitQueued
		g.queue = append(g.queue, p)
		if len(g.queue) == 1 {
			g.pump(p)
		}
	}
	return p.state == permitGranted
}

// leave gives the right, or the place in the queue, back without a call.
func (g *gate) leave(p *permit) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.finish(p, errNotMade)
	g.pump(nil)
}

// finish tells the breaker what came of a permit, and takes it back. The caller holds mu.
func (g *gate) finish(p *permit, err error) {
	if p.state == permitGranted {
		p.report(err)
		delete(g.granted, p)
	}
	if p.line {
		p.line = false
		g.lines <- struct{}{}
	}
	p.state, p.report = permitIdle, nil
}

// made reports what came of the call, and uses the right up. It says whether the breaker let the call pass only to see whether the API is back.
func (g *gate) made(p *permit, f Failure, retryAfter time.Duration) (probe bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	probe = g.breaker.State() != gobreaker.StateClosed
	var err error
	if f.down() {
		err = errDown
		g.failing[p.key] = struct{}{}
	} else {
		clear(g.failing)
	}
	g.finish(p, err)
	now := time.Now()
	g.ended = now
	if retryAfter > 0 && now.Add(retryAfter).After(g.hold) {
		if !now.Before(g.hold) {
			g.log.Info("the API asked all calls to wait", "until", now.Add(retryAfter).UTC())
		}
		g.hold = now.Add(retryAfter)
	}
	if f == FailureRateLimited {
		g.limited = min(g.limited+1, g.calls)
	}
	g.adapt(now)
	g.pump(nil)
	return probe
}

// pump grants as many waiting permits as may pass now. The one that asks itself needs no waking. The caller holds mu.
func (g *gate) pump(self *permit) {
	for len(g.queue) > 0 {
		p := g.queue[0]
		if p.state != permitQueued {
			g.queue = g.queue[1:]
			continue
		}
		report, wait := g.pass(time.Now())
		if report == nil {
			g.again(wait)
			return
		}
		g.queue = g.queue[1:]
		p.state, p.report = permitGranted, report
		g.granted[p] = struct{}{}
		if p != self {
			g.wake(p.key)
		}
	}
	g.queue = nil
	if g.barred {
		g.barred = false
		g.changed()
	}
}

// pass lets one call through, or tells when to look again (0: when something happens). The caller holds mu.
func (g *gate) pass(now time.Time) (report func(error), wait time.Duration) {
	if g.paused || g.slots > 0 && len(g.granted) >= g.room(now) {
		return nil, 0
	}
	if wait := g.hold.Sub(now); wait > 0 {
		return nil, wait
	}
	if g.breaker.State() == gobreaker.StateOpen {
		return nil, breakerLook
	}
	g.adapt(now)
	turn := g.limiter.ReserveN(now, 1)
	if wait := turn.DelayFrom(now); wait > 0 {
		turn.CancelAt(now)
		return nil, wait
	}
	report, err := g.breaker.Allow()
	if err != nil {
		turn.CancelAt(now)
		return nil, breakerLook
	}
	g.count(now)
	return report, 0
}

// again looks at the queue after a while. The caller holds mu.
func (g *gate) again(wait time.Duration) {
	if wait <= 0 {
		return
	}
	if g.timer == nil {
		g.timer = time.AfterFunc(wait, g.look)
		return
	}
	g.timer.Reset(wait)
}

func (g *gate) look() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pump(nil)
}

// adapt ends a stretch of about a second, in which calls were counted, and sets the rate: a tenth above what the API accepted if it refused
// calls because of their rate, and otherwise a tenth above what it was. The caller holds mu.
func (g *gate) adapt(now time.Time) {
	took := now.Sub(g.window)
	tooMany := g.calls >= decisive && 2*g.limited >= g.calls
	if g.calls == 0 || took < stretch && !tooMany {
		return
	}
	limit := g.limiter.Limit()
	if g.limited > 0 {
		accepted := float64(g.calls-g.limited) / max(took, stretch/10).Seconds()
		limit = min(limit, max(rate.Limit(accepted*rise), min(slowest, g.most)))
		g.ceiling = max(g.ceiling, rate.Limit(float64(g.calls)/max(took, stretch/10).Seconds()))
	} else if limit *= rise; limit > 2*g.ceiling {
		limit, g.ceiling = g.most, 0 // far above what was too much once
	}
	if limit = min(limit, g.most); limit != g.limiter.Limit() {
		g.log.Debug("rate adapted", "per_second", float64(limit))
		g.limiter.SetLimitAt(now, limit)
	}
	g.calls, g.limited = 0, 0
}

// count counts a call. The caller holds mu.
func (g *gate) count(now time.Time) {
	if g.calls == 0 {
		g.window = now
	}
	g.calls++
}

// pause stops calls, or lets them go on.
func (g *gate) pause(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = on
	g.pump(nil)
	g.changed()
}

// shut reports whether it makes no sense to take more commands in, and why.
func (g *gate) shut() (why string, shut bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.paused:
		why = "paused"
	case g.breaker.State() == gobreaker.StateOpen:
		why = "circuit open"
	}
	g.barred = why != ""
	return why, g.barred
}

// closed reports whether no call may be made now, although it was granted a moment ago.
func (g *gate) closed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.paused || time.Now().Before(g.hold) || g.breaker.State() == gobreaker.StateOpen
}

// view is what the metrics and the status tell of a gate.
type view struct {
	Paused  bool
	Breaker string
	Limit   float64 // calls a second; +Inf without a limit
	Most    float64 // the same, as configured
	Hold    time.Time
	Queued  int
	Granted int // permits that are held
}

func perSecond(l rate.Limit) float64 {
	if l == rate.Inf {
		return math.Inf(1)
	}
	return float64(l)
}

func (g *gate) view() view {
	g.mu.Lock()
	defer g.mu.Unlock()
	return view{
		Paused: g.paused, Breaker: g.breaker.State().String(), Limit: perSecond(g.limiter.Limit()), Most: perSecond(g.most), Hold: g.hold,
		Queued: len(g.queue), Granted: len(g.granted),
	}
}
