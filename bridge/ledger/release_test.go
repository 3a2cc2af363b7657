package ledger

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// afterClaim is a claim that follows a release.
func afterClaim(id, nonce string, after uint64) Claim {
	c := claimOf(id, nonce)
	c.After = after
	return c
}

func TestAReleasedCommandCanBeClaimedAgain(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	before, claims := uint64(0), map[uint64]bool{}
	for n := range 4 {
		c := mustClaim(t, e, afterClaim("a", fmt.Sprint("nonce", n), before))
		if again := mustClaim(t, e, afterClaim("a", fmt.Sprint("nonce", n), before)); again.Seq != c.Seq || claims[c.Seq] {
			t.Errorf("claim %+v, again %+v", c, again)
		}
		claims[c.Seq] = true
		if found := mustFind(t, l, "a"); found.Claim == nil || found.Claim.Seq != c.Seq || found.Claim.After != before || found.Released != 0 {
			t.Errorf("found %+v", found)
		}
		if at, err := l.ClaimedAt(testContext(t), c); err != nil || at.IsZero() {
			t.Errorf("claimed at %v, %v", at, err)
		}
		before = mustRelease(t, e, c)
		if again := mustRelease(t, e, c); again != before {
			t.Errorf("released as %d and %d", before, again)
		}
		if found := mustFind(t, l, "a"); found.Claim != nil || found.Released != before || found.Kind != subjects.MessageSend {
			t.Errorf("found %+v", found)
		}
	}
	if _, err := e.Release(testContext(t), Claim{CommandID: "a"}, Progress{}); err == nil {
		t.Error("a claim without a sequence was released")
	}
}

func TestAReleasedCommandIsClaimedByOne(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	first := mustClaim(t, e, claimOf("a", "one"))
	_, err := e.Claim(testContext(t), claimOf("a", "two"))
	wantClaimed(t, err, "one")
	after := mustRelease(t, e, first)
	_, err = e.Claim(testContext(t), claimOf("a", "two")) // who does not know of the release does not profit from it
	wantClaimed(t, err, "one")
	mustClaim(t, e, afterClaim("a", "two", after))
	_, err = e.Claim(testContext(t), afterClaim("a", "three", after))
	wantClaimed(t, err, "two")
	mustSettle(t, e, outcomeOf("a", "100"))
	if found := mustFind(t, l, "a"); found.Outcome == nil || found.Outcome.MessageID != "100" {
		t.Errorf("found %+v", found)
	}
}

func TestTheNextAttemptKnowsOfTheFormerOnes(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	want := Progress{
		Attempts: 3, Unsure: true, Spent: 1500 * time.Millisecond, History: []subjects.Attempt{{HTTPStatus: 500, Reason: subjects.ReasonOutcomeUnknown, Detail: "cut"}},
	}
	after, err := e.Release(testContext(t), mustClaim(t, e, claimOf("a", "one")), want)
	if err != nil {
		t.Fatal(err)
	}
	successor := patient(t, server.JetStream(t))
	for range 2 {
		if diff := cmp.Diff(want, mustFind(t, successor, "a").Progress); diff != "" {
			t.Errorf("progress (-want +got)\n%s", diff)
		}
		if mustFind(t, successor, "a").Claim == nil {
			mustClaim(t, begin(t, successor, 2), afterClaim("a", "two", after))
		}
	}
}

func TestAReleaseIsStoredOnceInSpiteOfFaults(t *testing.T) {
	l, f := faultyLedger(t)
	e := begin(t, l, 1)
	for name, faults := range passing() {
		c := mustClaim(t, e, claimOf(name, "one"))
		f.meets(faults...)
		after := mustRelease(t, e, c)
		if found := mustFind(t, l, name); found.Claim != nil || found.Released != after {
			t.Errorf("%s: released as %d, found %+v", name, after, found)
		}
		f.meets(faults...)
		mustClaim(t, e, afterClaim(name, "two", after))
	}
}

// TestWhatIsOlderThanTheFirstClaimIsForgotten: of a chain, the first record is the first to expire.
func TestWhatIsOlderThanTheFirstClaimIsForgotten(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	first := mustClaim(t, e, claimOf("a", "one"))
	mustRelease(t, e, first)
	if err := l.purge(testContext(t), l.claimSubject("a"), first.Seq); err != nil {
		t.Fatal(err)
	}
	if found := mustFind(t, l, "a"); found.Claim != nil || found.Released != 0 || found.Kind != "" {
		t.Errorf("found %+v", found)
	}
	if _, err := l.ClaimedAt(testContext(t), first); !errors.Is(err, ErrNotFound) {
		t.Errorf("time of a claim that has expired: %v", err)
	}
	second := mustClaim(t, e, claimOf("a", "two"))
	if found := mustFind(t, l, "a"); found.Claim == nil || found.Claim.Seq != second.Seq {
		t.Errorf("found %+v", found)
	}
	after := mustRelease(t, e, second)
	if found := mustFind(t, l, "a"); found.Claim != nil || found.Released != after {
		t.Errorf("found %+v", found)
	}
}

func TestAReleaseIsToldToOtherBridges(t *testing.T) {
	l, server := testLedger(t)
	other := following(t, server)
	e := begin(t, l, 1)
	c := mustClaim(t, e, claimOf("a", "one"))
	echoIs(t, other, "not yet told", "a")
	mustRelease(t, e, c)
	natstest.Eventually(t, "the release to be known", func() bool {
		_, ok := other.EchoOf("42", "100", subjects.Outgoing, printOf(Fingerprint("hello")))
		return !ok
	})
}

func TestAReleaseThatIsNotAcknowledgedIsNotKnown(t *testing.T) {
	l, f := faultyLedger(t)
	e := begin(t, l, 1)
	c := mustClaim(t, e, claimOf("a", "one"))
	l.tries = 1
	f.meets(fault{stored: true, err: nats.ErrTimeout})
	if _, err := e.Release(testContext(t), c, Progress{}); !errors.Is(err, nats.ErrTimeout) || !e.holds("a") {
		t.Errorf("released? %v", err)
	}
	if after := mustRelease(t, e, c); after == 0 || e.holds("a") {
		t.Errorf("released as %d", after)
	}
}
