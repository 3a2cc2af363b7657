package lane

import (
	"container/heap"
	"time"
)

// lane is one key with its jobs. It exists only while it has jobs, and is in
// exactly one of three states: running, waiting (in the heap), ready (in the
// list of ready lanes).
type lane struct {
	key     string
	jobs    jobs
	running bool
	woken   bool  // woken while running
	panics  uint8 // of the head, in a row
	slot    int   // place in the heap of waiting lanes
	wakeAt  time.Time

	nextReady    *lane
	older, newer *lane     // neighbours in the list by age
	since        time.Time // when the head became the head
}

const notWaiting = -1

// jobs is a queue that costs one word per job.
type jobs struct {
	steps []Step
	head  int
}

func (j *jobs) push(s Step) { j.steps = append(j.steps, s) }
func (j *jobs) first() Step { return j.steps[j.head] }
func (j *jobs) len() int    { return len(j.steps) - j.head }

// pop forgets the first job, and moves the others to the front when half of
// the space is unused: a constant effort per job on average.
func (j *jobs) pop() {
	j.steps[j.head] = nil
	j.head++
	if j.head*2 < len(j.steps) || j.head < 16 && j.len() > 0 {
		return
	}
	n := copy(j.steps, j.steps[j.head:])
	clear(j.steps[n:])
	j.steps, j.head = j.steps[:n], 0
	if room := cap(j.steps); room > 64 && n < room/4 {
		j.steps = append(make([]Step, 0, room/2), j.steps...)
	}
}

// readyList is the queue of lanes that a worker may take.
type readyList struct{ first, last *lane }

func (r *readyList) push(ln *lane) {
	if r.last == nil {
		r.first = ln
	} else {
		r.last.nextReady = ln
	}
	r.last = ln
}

func (r *readyList) pop() *lane {
	ln := r.first
	if ln == nil {
		return nil
	}
	r.first, ln.nextReady = ln.nextReady, nil
	if r.first == nil {
		r.last = nil
	}
	return ln
}

// ageList holds all lanes by the time their head became the head. Time only
// goes forward, so that a lane is always added at the end.
type ageList struct{ first, last *lane }

func (a *ageList) push(ln *lane, now time.Time) {
	ln.since, ln.older, ln.newer = now, a.last, nil
	if a.last == nil {
		a.first = ln
	} else {
		a.last.newer = ln
	}
	a.last = ln
}

func (a *ageList) remove(ln *lane) {
	if ln.older == nil {
		a.first = ln.newer
	} else {
		ln.older.newer = ln.newer
	}
	if ln.newer == nil {
		a.last = ln.older
	} else {
		ln.newer.older = ln.older
	}
	ln.older, ln.newer = nil, nil
}

// waitHeap holds the lanes whose head waits, the earliest first.
type waitHeap []*lane

func (w *waitHeap) add(ln *lane, at time.Time) {
	ln.wakeAt = at
	heap.Push(w, ln)
}

func (w *waitHeap) remove(ln *lane) { heap.Remove(w, ln.slot) }

// Len is part of heap.Interface.
func (w waitHeap) Len() int { return len(w) }

// Less is part of heap.Interface.
func (w waitHeap) Less(i, j int) bool { return w[i].wakeAt.Before(w[j].wakeAt) }

// Swap is part of heap.Interface.
func (w waitHeap) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].slot, w[j].slot = i, j
}

// Push is part of heap.Interface.
func (w *waitHeap) Push(x any) {
	ln := x.(*lane)
	ln.slot = len(*w)
	*w = append(*w, ln)
}

// Pop is part of heap.Interface.
func (w *waitHeap) Pop() any {
	last := len(*w) - 1
	ln := (*w)[last]
	(*w)[last] = nil
	*w = (*w)[:last]
	ln.slot = notWaiting
	return ln
}
