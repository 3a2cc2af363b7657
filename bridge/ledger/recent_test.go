package ledger

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cxbridge/cxbridge/subjects"
)

// clock is a time that a test moves.
type clock struct{ now time.Time }

func newClock() *clock { return &clock{time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) Now() time.Time { return c.now }

func printOf(fingerprint string) func() string { return func() string { return fingerprint } }

func echo(r *recent, messageID string) string {
	id, _ := r.echoOf("42", messageID, subjects.Outgoing, printOf(Fingerprint("hello")))
	return id
}

func TestAnOpenClaimIsAnEchoForAMinute(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	r.claimed(claimOf("a", "one"), clock.now)
	if got := echo(r, "100"); got != "a" {
		t.Errorf("echo of %q", got)
	}
	if id, ok := r.echoOf("43", "100", subjects.Outgoing, printOf(Fingerprint("hello"))); ok {
		t.Errorf("another conversation: %s", id)
	}
	if id, ok := r.echoOf("42", "100", subjects.Incoming, printOf(Fingerprint("hello"))); ok {
		t.Errorf("another direction: %s", id)
	}
	if id, ok := r.echoOf("42", "100", subjects.Outgoing, printOf(Fingerprint("hello!"))); ok {
		t.Errorf("another content: %s", id)
	}
	clock.now = clock.now.Add(claimsAge + time.Second)
	if got := echo(r, "100"); got != "" {
		t.Errorf("echo of %q after its time", got)
	}
}

func TestAnOutcomeTellsItsMessageAndClosesTheClaim(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	r.claimed(claimOf("a", "one"), clock.now)
	r.settled(new(outcomeOf("a", "100")), clock.now)
	if got := echo(r, "100"); got != "a" {
		t.Errorf("echo of %q", got)
	}
	if got := echo(r, "101"); got != "" {
		t.Errorf("a later message with the same text is an echo of %q", got)
	}
	r.claimed(claimOf("a", "one"), clock.now)
	if got := echo(r, "101"); got != "" {
		t.Errorf("a claim that came late makes an echo of %q", got)
	}
	clock.now = clock.now.Add(outcomesAge + time.Second)
	if got := echo(r, "100"); got != "" {
		t.Errorf("echo of %q after its time", got)
	}
}

func TestTwoEqualTextsInARowAreToldApart(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	r.claimed(claimOf("a", "one"), clock.now)
	r.settled(new(outcomeOf("a", "100")), clock.now)
	r.claimed(claimOf("b", "one"), clock.now)
	r.settled(new(outcomeOf("a", "100")), clock.now) // told again by the reader of the stream
	if got := echo(r, "100"); got != "a" {
		t.Errorf("first is an echo of %q", got)
	}
	if got := echo(r, "101"); got != "b" {
		t.Errorf("second is an echo of %q", got)
	}
}

func TestAReleasedClaimIsNoEcho(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	r.claimed(claimOf("a", "one"), clock.now)
	r.released(claimOf("a", "one"))
	if got := echo(r, "100"); got != "" {
		t.Errorf("echo of %q", got)
	}
}

func TestNothingIsAnEchoOfNothing(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	start := claimOf("a", "one")
	start.Fingerprint = ""
	r.claimed(start, clock.now)
	r.settled(new(outcomeOf("b", "")), clock.now)
	for _, q := range [][4]string{{}, {"42", "", subjects.Outgoing, ""}, {"", "", "", Fingerprint("hello")}} {
		if id, ok := r.echoOf(q[0], q[1], q[2], printOf(q[3])); ok {
			t.Errorf("%q is an echo of %s", q, id)
		}
	}
}

// TestAFingerprintIsAskedForOnlyWhenACallIsUnderWay also holds that nothing is left of conversations whose claims are gone.
func TestAFingerprintIsAskedForOnlyWhenACallIsUnderWay(t *testing.T) {
	clock := newClock()
	r := newRecent(clock.Now)
	asked := 0
	ask := func() string { asked++; return Fingerprint("hello") }
	r.echoOf("42", "100", subjects.Outgoing, ask)
	r.claimed(claimOf("a", "one"), clock.now)
	r.claimed(claimOf("a", "one"), clock.now)
	r.echoOf("43", "100", subjects.Outgoing, ask)
	if asked != 0 {
		t.Errorf("asked %d times without a call", asked)
	}
	r.echoOf("42", "100", subjects.Outgoing, ask)
	if asked != 1 {
		t.Errorf("asked %d times for a call", asked)
	}
	r.claimed(claimOf("b", "two"), clock.now)
	r.released(claimOf("b", "two"))
	r.settled(new(outcomeOf("a", "100")), clock.now)
	r.echoOf("42", "101", subjects.Outgoing, ask)
	if asked != 1 || len(r.claims.groups) != 0 {
		t.Errorf("asked %d times after the call, left are %v", asked, r.claims.groups)
	}
}

// TestMemoryIsBounded puts and drops at random, and looks for more than is allowed.
func TestMemoryIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		clock := newClock()
		s := newShelf(time.Minute, 10)
		s.group, s.groups = func(key string) string { return key[len(key)-1:] }, make(map[string]int)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			n := rapid.IntRange(0, 30).Draw(t, "n")
			if rapid.Bool().Draw(t, "put") {
				key := fmt.Sprint("key", n%20)
				s.put(key, fmt.Sprint("command", n), clock.now, clock.now)
				if id, ok := s.get(key, clock.now); !ok || id != fmt.Sprint("command", n) {
					t.Fatalf("what was just put is not there: %q", id)
				}
			} else {
				s.drop(fmt.Sprint("command", n))
			}
			clock.now = clock.now.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "seconds")) * time.Second)
			if len(s.entries) > 10 || len(s.queue) > 20 || len(s.keys) != len(s.entries) {
				t.Fatalf("%d entries, %d commands, %d in the queue", len(s.entries), len(s.keys), len(s.queue))
			}
			grouped := 0
			for _, n := range s.groups {
				grouped += n
			}
			if grouped != len(s.entries) {
				t.Fatalf("%d entries, %d in groups", len(s.entries), grouped)
			}
		}
	})
}
