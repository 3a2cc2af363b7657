package lane

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// plan is one random job: when it is submitted, to which key, and what each of
// its attempts does.
type plan struct {
	pause time.Duration // before the submission
	key   string
	tries []try
	wake  bool // wake the lane right after the submission
}

type try struct {
	takes, wait time.Duration
	panics      bool
}

var (
	durations = rapid.SampledFrom([]time.Duration{0, time.Millisecond, time.Second, 7 * time.Second, time.Hour})
	tries     = rapid.Custom(func(t *rapid.T) try {
		return try{durations.Draw(t, "takes"), durations.Draw(t, "wait"), rapid.IntRange(0, 9).Draw(t, "panics") == 0}
	})
	plans = rapid.Custom(func(t *rapid.T) plan {
		return plan{
			pause: durations.Draw(t, "pause"),
			key:   rapid.StringOfN(rapid.RuneFrom([]rune("abc")), 1, 2, -1).Draw(t, "key"),
			tries: rapid.SliceOfN(tries, 1, 4).Draw(t, "tries"),
			wake:  rapid.Bool().Draw(t, "wake"),
		}
	})
)

// judge collects what the lanes did wrong.
type judge struct {
	mu     sync.Mutex
	busy   map[string]bool // a step of this key is running
	next   map[string]int  // the job of this key that is due
	active int
	most   int
	wrong  []string
}

func (j *judge) begin(key string, number int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.busy[key] {
		j.wrong = append(j.wrong, fmt.Sprintf("%s: two steps at a time", key))
	}
	if j.next[key] != number {
		j.wrong = append(j.wrong, fmt.Sprintf("%s: job %d ran when %d was due", key, number, j.next[key]))
	}
	j.busy[key] = true
	j.active++
	j.most = max(j.most, j.active)
}

func (j *judge) end(key string, done bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.busy[key] = false
	j.active--
	if done {
		j.next[key]++
	}
}

// step carries out a plan. The last try finishes the job, unless it panics:
// then one more does.
func (j *judge) step(p plan, number int) Step {
	n := 0
	return func(context.Context) (time.Duration, bool) {
		j.begin(p.key, number)
		if n >= len(p.tries) {
			j.end(p.key, true)
			return 0, true
		}
		now := p.tries[n]
		n++
		time.Sleep(now.takes)
		done := n == len(p.tries) && !now.panics
		j.end(p.key, done)
		if now.panics {
			panic("as planned")
		}
		return now.wait, done
	}
}

// runPlans submits the jobs in a bubble with its own time and waits for all.
func runPlans(t *testing.T, workers int, all []plan) *judge {
	j := &judge{busy: map[string]bool{}, next: map[string]int{}}
	synctest.Test(t, func(t *testing.T) {
		l := New(workers)
		stop := started(t, l)
		count := map[string]int{}
		for _, p := range all {
			time.Sleep(p.pause)
			l.Submit(p.key, j.step(p, count[p.key]))
			count[p.key]++
			if p.wake {
				l.Wake(p.key)
			}
		}
		time.Sleep(time.Duration(len(all)) * 24 * time.Hour)
		stop()
		for key, want := range count {
			if j.next[key] != want {
				j.wrong = append(j.wrong, fmt.Sprintf("%s: %d of %d jobs were done", key, j.next[key], want))
			}
		}
	})
	return j
}

func TestEveryJobRunsInOrderAndNeverTwoOfAKey(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.IntRange(1, 6).Draw(rt, "workers")
		all := rapid.SliceOfN(plans, 0, 60).Draw(rt, "jobs")
		j := runPlans(t, workers, all)
		if j.most > workers {
			rt.Errorf("%d steps at a time with %d workers", j.most, workers)
		}
		for _, w := range j.wrong {
			rt.Error(w)
		}
	})
}

func TestTheQueueOfALaneKeepsOrderAndForgetsWhatIsDone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var q jobs
		var in, out int
		ran := -1
		for range rapid.IntRange(1, 30).Draw(rt, "rounds") {
			for range rapid.IntRange(0, 100).Draw(rt, "pushes") {
				number := in
				in++
				q.push(func(context.Context) (time.Duration, bool) { ran = number; return 0, true })
			}
			for range rapid.IntRange(0, in-out).Draw(rt, "pops") {
				q.first()(t.Context())
				if ran != out {
					rt.Fatalf("job %d came when %d was due", ran, out)
				}
				q.pop()
				out++
			}
			if q.len() != in-out {
				rt.Fatalf("length %d, want %d", q.len(), in-out)
			}
			if len(q.steps) > 2*q.len()+32 {
				rt.Fatalf("%d places for %d jobs", len(q.steps), q.len())
			}
		}
	})
}
