package command

import (
	"strings"
	"testing"
)

func TestWhatIsHeldIsBoundedByItsSize(t *testing.T) {
	h := newHeld()
	large := parcel{text: strings.Repeat("x", maxHeldBytes/4+1)}
	var jobs []*job
	for seq := range uint64(4) {
		if h.full() {
			t.Fatalf("full with %d commands", len(jobs))
		}
		j := &job{seq: seq + 1, parcel: large}
		jobs = append(jobs, j)
		h.add(j)
		h.add(&job{seq: seq + 1, parcel: large}) // delivered again
	}
	if !h.full() {
		t.Error("more is taken in")
	}
	h.remove(jobs[0])
	h.remove(jobs[0])
	if h.full() {
		t.Error("nothing more is taken in")
	}
}
