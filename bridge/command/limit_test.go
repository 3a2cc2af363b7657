package command

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// queue is a gate with jobs that each make one call as soon as they may.
type queue struct {
	*gate
	began time.Time

	mu     sync.Mutex
	answer func() (Failure, time.Duration) // of each call
	jobs   map[string]*permit
	calls  []string        // lanes in the order of their calls
	times  []time.Duration // when
	probes int
}

func newQueue(perSecond float64, burst int) *queue {
	q := &queue{
		gate: newGate(perSecond, burst, slog.New(slog.DiscardHandler)), began: time.Now(), jobs: map[string]*permit{},
		answer: func() (Failure, time.Duration) { return FailureNone, 0 },
	}
	q.attach(func(key string) { go q.call(key) }, func() {})
	return q
}

// add lets a new job ask.
func (q *queue) add(key string) {
	q.mu.Lock()
	q.jobs[key] = &permit{key: key}
	q.mu.Unlock()
	q.ask(key)
}

func (q *queue) job(key string) *permit {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.jobs[key]
}

func (q *queue) ask(key string) {
	if q.enter(q.job(key)) {
		q.call(key)
	}
}

func (q *queue) call(key string) {
	q.mu.Lock()
	q.calls = append(q.calls, key)
	q.times = append(q.times, time.Since(q.began))
	f, after := q.answer()
	q.mu.Unlock()
	probe := q.gate.made(q.job(key), f, after)
	q.mu.Lock()
	defer q.mu.Unlock()
	if probe {
		q.probes++
	}
}

func (q *queue) answers(f Failure, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answer = func() (Failure, time.Duration) { return f, after }
}

func (q *queue) seen() (calls []string, at []time.Duration, probes int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.calls), slices.Clone(q.times), q.probes
}

// passes lets time pass.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestTheGateGivesItsOrderAndItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(10, 2)
		defer q.detach()
		var want []string
		for n := range 12 {
			q.add(fmt.Sprint(n))
			want = append(want, fmt.Sprint(n))
		}
		passes(time.Minute)
		calls, at, _ := q.seen()
		if !slices.Equal(calls, want) {
			t.Errorf("made %v", calls)
		}
		if last := at[11]; last < 990*time.Millisecond || last > 1010*time.Millisecond {
			t.Errorf("at %v", at)
		}
	})
}

func TestRetryAfterHoldsTheWholeTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		q.answers(FailureRateLimited, 5*time.Second)
		q.add("a")
		q.answers(FailureNone, 0)
		q.add("b")
		q.add("c")
		q.ask("a")
		passes(5*time.Second - time.Millisecond)
		if calls, at, _ := q.seen(); len(calls) != 1 {
			t.Errorf("made %v at %v", calls, at)
		}
		passes(10 * time.Second)
		if calls, at, _ := q.seen(); len(calls) != 4 || at[1] < 5*time.Second {
			t.Errorf("made %v at %v", calls, at)
		}
	})
}

func TestTheBreakerStopsCallsAndProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		q.answers(FailureNotReached, 0)
		for n := range breakerFailures {
			q.add(fmt.Sprint(n))
		}
		calls, _, _ := q.seen()
		if _, shut := q.shut(); !shut || len(calls) != breakerFailures {
			t.Fatalf("made %v", calls)
		}
		q.add("x")
		passes(2*breakerOpenFor + time.Second) // two probes fail
		for range 3 {
			q.ask("x")
			passes(2 * breakerOpenFor)
		}
		if calls, _, probes := q.seen(); probes < 2 || len(calls) != breakerFailures+probes {
			t.Errorf("%d probes, made %d", probes, len(calls))
		}
		q.answers(FailureNone, 0)
		for n := range 5 {
			q.add(fmt.Sprintf("back %d", n))
		}
		passes(time.Minute)
		calls, _, _ = q.seen()
		if _, shut := q.shut(); shut || !slices.Equal(calls[len(calls)-4:], []string{"back 1", "back 2", "back 3", "back 4"}) {
			t.Errorf("made %v", calls)
		}
	})
}

// TestFewFailingLanesDoNotStopTheOthers: they must be able to use up their budget.
func TestFewFailingLanesDoNotStopTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		q.answers(FailureBusy, 0)
		for n := range 10 * breakerFailures {
			q.add(fmt.Sprint(n % (breakerLanes - 1)))
		}
		if _, shut := q.shut(); shut {
			t.Error("open")
		}
	})
}

func TestRefusalsAreNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		for _, f := range []Failure{FailureRefused, FailureRateLimited, FailureFull, FailureAlready} {
			q.answers(f, 0)
			for n := range 3 * breakerFailures {
				q.add(fmt.Sprintf("%s %d", f, n))
				passes(time.Minute)
			}
			if _, shut := q.shut(); shut {
				t.Errorf("%s: open", f)
			}
		}
	})
}

func TestAProbeThatIsNotMadeIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		q.answers(FailureBusy, 0)
		for n := range breakerFailures {
			q.add(fmt.Sprint(n))
		}
		time.Sleep(2 * breakerOpenFor)
		dropped := &permit{key: "dropped"}
		if !q.enter(dropped) {
			t.Fatal("no probe")
		}
		q.detach() // the term ends with it
		q.attach(func(key string) { go q.call(key) }, func() {})
		defer q.detach()
		q.answers(FailureNone, 0)
		q.add("next")
		passes(time.Minute)
		calls, _, _ := q.seen()
		if _, shut := q.shut(); shut || calls[len(calls)-1] != "next" {
			t.Errorf("made %v", calls)
		}
	})
}

// TestTheRateFollowsTheAPI: an API that takes 20 calls a second and answers 429 to the rest.
func TestTheRateFollowsTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(200, 200)
		defer q.detach()
		var second, taken, refused, served int
		limited := true
		q.answer = func() (Failure, time.Duration) {
			if now := int(time.Since(q.began) / time.Second); now != second {
				second, taken = now, 0
			}
			if taken++; limited && taken > 20 {
				refused++
				return FailureRateLimited, 0
			}
			served++
			return FailureNone, 0
		}
		feed := func(n int) {
			for i := range n {
				q.add(fmt.Sprintf("%v %d", time.Since(q.began), i))
			}
		}
		feed(4000)
		passes(60 * time.Second)
		q.mu.Lock()
		before := refused
		q.mu.Unlock()
		passes(60 * time.Second)
		q.mu.Lock()
		if late := refused - before; late > 60*20/4 || served < 60*20/2 {
			t.Errorf("%d refused in the second minute, %d served in both", late, served)
		}
		limited = false
		q.mu.Unlock()
		passes(time.Hour)
		feed(200)
		for range 60 {
			passes(time.Second)
			feed(1)
		}
		if v := q.view(); v.Limit != 200 {
			t.Errorf("the limit stays at %v", v.Limit)
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		q.pause(true)
		q.add("a")
		passes(time.Hour)
		calls, _, _ := q.seen()
		if why, shut := q.shut(); len(calls) != 0 || !shut || why != "paused" {
			t.Errorf("made %v", calls)
		}
		q.pause(false)
		synctest.Wait()
		if calls, _, _ := q.seen(); len(calls) != 1 {
			t.Errorf("made %v", calls)
		}
	})
}

// TestAGrantIsWorthNothingOnceTheAPIAsksToWait: what was granted before must look again.
func TestAGrantIsWorthNothingOnceTheAPIAsksToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(0, 1)
		defer q.detach()
		early := &permit{key: "early"}
		if !q.enter(early) || q.closed() {
			t.Fatal("not granted")
		}
		q.answers(FailureRateLimited, 5*time.Second)
		q.add("a")
		if !q.closed() {
			t.Error("open")
		}
		q.leave(early)
		if passes(5 * time.Second); q.closed() {
			t.Error("closed")
		}
	})
}

func TestNoMoreCallsAtOnceThanConfigured(t *testing.T) {
	g := newGate(0, 1, slog.New(slog.DiscardHandler))
	g.slots = 2
	var woken []string
	g.attach(func(key string) { woken = append(woken, key) }, func() {})
	a, b, c, d := &permit{key: "a"}, &permit{key: "b"}, &permit{key: "c"}, &permit{key: "d"}
	if !g.enter(a) || !g.enter(b) {
		t.Fatal("two calls may be made")
	}
	if g.enter(c) || g.enter(d) || g.enter(c) {
		t.Fatal("more calls are made than may be")
	}
	g.made(a, FailureNone, 0)
	g.leave(b) // without a call
	if !slices.Equal(woken, []string{"c", "d"}) || !g.enter(c) || !g.enter(d) {
		t.Errorf("%v were woken, in the place of two that ended", woken)
	}
}

// TestAFewMorePermitsThanCallsWhileCallsEnd, so that commands are claimed meanwhile; no more calls at once than there may be.
func TestAFewMorePermitsThanCallsWhileCallsEnd(t *testing.T) {
	g := newGate(0, 1, slog.New(slog.DiscardHandler))
	g.limitCalls(2)
	g.attach(func(string) {}, func() {})
	permits := make([]permit, 5)
	grant := func() (granted int) {
		for i := range permits {
			if g.enter(&permits[i]) {
				granted++
			}
		}
		return granted
	}
	if n := grant(); n != 2 {
		t.Errorf("%d permits before a call ended", n)
	}
	for range 2 { // once more is no other place
		if !g.seize(t.Context(), &permits[0]) || !g.seize(t.Context(), &permits[1]) {
			t.Error("no place for as many calls as there may be")
		}
	}
	g.made(&permits[0], FailureNone, 0)
	g.mu.Lock()
	g.ended = time.Now().Add(time.Hour) // however slow the machine is
	g.pump(nil)
	g.mu.Unlock()
	if n := len(g.granted); n != 3 {
		t.Errorf("%d permits after a call ended", n)
	}
	if !g.seize(t.Context(), &permits[2]) {
		t.Error("no place after a call ended")
	}
	full, cancel := context.WithCancel(t.Context())
	cancel()
	if g.seize(full, &permits[3]) {
		t.Error("more calls than there may be")
	}
	g.leave(&permits[2])
	if !g.seize(t.Context(), &permits[3]) {
		t.Error("no place after one was given back")
	}
}
