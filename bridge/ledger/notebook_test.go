package ledger

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestANotebookKnowsTheLatestAndIsBounded compares a notebook with a map that forgets nothing.
func TestANotebookKnowsTheLatestAndIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const entries, age = 20, time.Minute
		type noted struct {
			text string
			at   time.Time
		}
		clock, n, all := newClock(), newNotebook(age, entries), make(map[string]noted)
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			key, text := rapid.StringN(0, 3, 8).Draw(t, "key"), strings.Repeat("x", rapid.SampledFrom([]int{0, 1, 40, 5000}).Draw(t, "length"))
			at := clock.now.Add(-time.Duration(rapid.IntRange(0, 70).Draw(t, "seconds ago")) * time.Second)
			n.put(key, text, at, clock.now)
			if clock.now.Sub(at) <= age {
				all[key] = noted{text, at}
				if got, ok := n.get(key, clock.now); !ok || got != text {
					t.Fatalf("what was just put is not there: %d bytes, %v", len(got), ok)
				}
			}
			clock.now = clock.now.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "seconds")) * time.Second)
			for key, want := range all {
				got, ok := n.get(key, clock.now)
				if ok && (got != want.text || clock.now.Sub(want.at) > age) {
					t.Fatalf("%q: got %d bytes, noted %d bytes %v ago", key, len(got), len(want.text), clock.now.Sub(want.at))
				}
			}
			size := 0
			for _, p := range n.pages {
				size += len(p.text)
			}
			if n.len() > entries+entries/10 || len(n.pages) > n.most || size > n.most*(n.length*entrySize+5008) {
				t.Fatalf("%d entries on %d pages with %d bytes", n.len(), len(n.pages), size)
			}
		}
	})
}

func TestANotebookHasRoomForWhatItPromises(t *testing.T) {
	clock := newClock()
	n := newNotebook(outcomesAge, outcomesMost)
	id := func(i int) string { return "message-" + time.Duration(i).String() }
	for i := range 3 * outcomesMost {
		n.put(id(i), "command-"+id(i), clock.now, clock.now)
	}
	for i := 2 * outcomesMost; i < 3*outcomesMost; i++ {
		if got, ok := n.get(id(i), clock.now); !ok || got != "command-"+id(i) {
			t.Fatalf("%s: %q, %v", id(i), got, ok)
		}
	}
	if n.len() > outcomesMost+outcomesMost/10 {
		t.Errorf("%d entries", n.len())
	}
}
