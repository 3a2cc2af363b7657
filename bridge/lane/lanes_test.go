package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// started starts Run and returns what ends it and waits for its return.
func started(t *testing.T, l *Lanes) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() { returned <- l.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-returned; err != nil {
			t.Errorf("run: %v", err)
		}
	}
}

// journal is what happened, in order.
type journal struct {
	mu    sync.Mutex
	lines []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
}

func (j *journal) want(t *testing.T, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if diff := cmp.Diff(lines, j.lines); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}

func (j *journal) once(line string) Step {
	return func(context.Context) (time.Duration, bool) {
		j.add("%s", line)
		return 0, true
	}
}

func TestAWaitingJobHoldsItsLaneButNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, j := New(1), &journal{}
		start, tries := time.Now(), 0
		l.Submit("a", func(context.Context) (time.Duration, bool) {
			tries++
			j.add("a1 after %v", time.Since(start))
			return time.Duration(tries) * time.Hour, tries == 3
		})
		l.Submit("a", j.once("a2"))
		for i := range 3 {
			l.Submit("b", j.once(fmt.Sprintf("b%d", i+1)))
		}
		stop := started(t, l)
		synctest.Wait()
		want := Stats{Waiting: 2, Lanes: 1, Blocked: 1, OldestKey: "a", OldestBlocked: start}
		if got := l.Stats(); got != want {
			t.Errorf("stats: got %+v, want %+v", got, want)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		stop()
		j.want(t, "a1 after 0s", "b1", "b2", "b3", "a1 after 1h0m0s", "a1 after 3h0m0s", "a2")
		if n := l.Len(); n != 0 {
			t.Errorf("still held: %d", n)
		}
	})
}

func TestALaneThatRanGoesBehindTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, j := New(1), &journal{}
		for i := range 3 {
			l.Submit("busy", j.once(fmt.Sprintf("busy%d", i+1)))
		}
		again := false
		l.Submit("again", func(context.Context) (time.Duration, bool) {
			j.add("again")
			again = !again
			return 0, !again
		})
		l.Submit("other", j.once("other"))
		stop := started(t, l)
		synctest.Wait()
		stop()
		j.want(t, "busy1", "again", "other", "busy2", "again", "busy3")
	})
}

func TestWakeRunsAWaitingHeadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(2)
		start := time.Now()
		var ran []time.Duration
		l.Submit("a", func(context.Context) (time.Duration, bool) {
			ran = append(ran, time.Since(start))
			return time.Hour, len(ran) == 2
		})
		stop := started(t, l)
		time.Sleep(time.Minute)
		l.Wake("nobody")
		l.Wake("a")
		synctest.Wait()
		stop()
		if diff := cmp.Diff([]time.Duration{0, time.Minute}, ran); diff != "" {
			t.Errorf("ran at (-want +got):\n%s", diff)
		}
	})
}

func TestAWakeUpDuringAStepIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(2)
		start := time.Now()
		var ran []time.Duration
		l.Submit("a", func(context.Context) (time.Duration, bool) {
			ran = append(ran, time.Since(start))
			time.Sleep(time.Minute)
			return time.Hour, len(ran) == 3
		})
		stop := started(t, l)
		time.Sleep(time.Second)
		l.Wake("a")
		time.Sleep(3 * time.Hour)
		stop()
		want := []time.Duration{0, time.Minute, time.Hour + 2*time.Minute}
		if diff := cmp.Diff(want, ran); diff != "" {
			t.Errorf("ran at (-want +got):\n%s", diff)
		}
	})
}

func TestRunLetsRunningStepsFinishAndBeginsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, j := New(2), &journal{}
		l.Submit("a", func(ctx context.Context) (time.Duration, bool) {
			time.Sleep(time.Hour)
			j.add("a1 ended, context: %v", ctx.Err())
			return 0, true
		})
		l.Submit("a", j.once("a2"))
		l.Submit("b", func(context.Context) (time.Duration, bool) { return 2 * time.Minute, false })
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := l.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
		l.Submit("c", j.once("c"))
		l.Wake("b")
		synctest.Wait()
		j.want(t, "a1 ended, context: <nil>")
		if got := l.Stats(); got != (Stats{}) || l.Len() != 0 {
			t.Errorf("after the end: %+v, %d jobs", got, l.Len())
		}
		if err := l.Run(t.Context()); !errors.Is(err, ErrRan) {
			t.Errorf("second run: got %v, want ErrRan", err)
		}
	})
}

func TestRunWithAnEndedContextBeginsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 500 {
		l, j := New(4), &journal{}
		l.Submit("a", j.once("a"))
		if err := l.Run(ctx); err != nil {
			t.Errorf("run: %v", err)
		}
		j.want(t)
	}
}

func TestTheStepContextCutsStepsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hard, cut := context.WithCancel(t.Context())
		l := New(1, WithStepContext(hard))
		var got error
		l.Submit("a", func(ctx context.Context) (time.Duration, bool) {
			<-ctx.Done()
			got = ctx.Err()
			return time.Hour, false
		})
		stop := started(t, l)
		synctest.Wait()
		cut()
		synctest.Wait()
		stop()
		if !errors.Is(got, context.Canceled) {
			t.Errorf("step's context: got %v", got)
		}
	})
}

func TestAPanicIsToldAndTheJobKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, start := &journal{}, time.Now()
		l := New(1, WithOnPanic(func(key string, recovered any, stack []byte) {
			j.add("%s: %v after %v, stack: %t", key, recovered, time.Since(start), len(stack) > 0)
		}))
		tries := 0
		l.Submit("a", func(context.Context) (time.Duration, bool) {
			switch tries++; tries {
			case 1, 2, 4: // the pause begins anew after the third attempt
				panic("ouch")
			}
			return time.Minute, tries == 5
		})
		l.Submit("a", func(context.Context) (time.Duration, bool) {
			j.add("a2 after %v", time.Since(start))
			return 0, true
		})
		l.Submit("b", j.once("b"))
		stop := started(t, l)
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		j.want(t, "a: ouch after 0s, stack: true", "b", "a: ouch after 1s, stack: true", "a: ouch after 1m3s, stack: true", "a2 after 1m4s")
		if n := l.Stats().Panics; n != 3 {
			t.Errorf("panics: got %d, want 3", n)
		}
	})
}

func TestAPanicWithoutAHandlerIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1)
		l.Submit("a", func(context.Context) (time.Duration, bool) { panic("ouch") })
		stop := started(t, l)
		time.Sleep(time.Hour) // at 0, 1, 3, 7, 15, 31 s, then every minute: 31 s + 59 min at most
		synctest.Wait()
		stop()
		if n := l.Stats().Panics; n != 6+59 {
			t.Errorf("panics: got %d, want %d", n, 6+59)
		}
	})
}

func TestOldestBlockedIsTheLaneWithTheOldestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, j := New(1), &journal{}
		start := time.Now()
		stop := started(t, l)
		synctest.Wait()
		stuck := func(context.Context) (time.Duration, bool) { return time.Second, time.Since(start) > time.Hour }
		l.Submit("first", j.once("first"))
		time.Sleep(time.Minute)
		l.Submit("second", stuck)
		l.Submit("second", j.once("second"))
		time.Sleep(time.Minute)
		l.Submit("third", stuck)
		time.Sleep(time.Minute + time.Second/2) // between two attempts
		synctest.Wait()
		if s := l.Stats(); s.OldestKey != "second" || !s.OldestBlocked.Equal(start.Add(time.Minute)) || s.Blocked != 2 {
			t.Errorf("stats: %+v", s)
		}
		time.Sleep(2 * time.Hour)
		stop()
		if s := l.Stats(); s.OldestKey != "" || !s.OldestBlocked.IsZero() {
			t.Errorf("stats at the end: %+v", s)
		}
	})
}

func TestNoGoroutinePerLaneAndLittleMemoryPerJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lanes, perLane = 20_000, 5
		l := New(8)
		start := time.Now()
		var ran, early atomic.Int64
		step := func(context.Context) (time.Duration, bool) {
			ran.Add(1)
			if time.Since(start) < time.Minute {
				early.Add(1)
				return time.Hour, false
			}
			return 0, true
		}
		for i := range lanes * perLane {
			l.Submit(fmt.Sprint("conversation/", i%lanes), step)
		}
		stop := started(t, l)
		synctest.Wait()
		if s := l.Stats(); s.Blocked != lanes || s.Waiting != lanes*perLane {
			t.Errorf("stats: %+v", s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		stop()
		if ran.Load() != lanes*(perLane+1) || early.Load() != lanes {
			t.Errorf("steps: %d, of which early: %d", ran.Load(), early.Load())
		}
	})
}
