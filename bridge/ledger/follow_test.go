package ledger

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// following runs a follower of the same stream, as another bridge does, until the test ends.
func following(t *testing.T, server *natstest.Server) *Ledger {
	t.Helper()
	l := patient(t, server.JetStream(t))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Follow(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("follow: %v", err)
		}
	})
	return l
}

func echoIs(t *testing.T, l *Ledger, messageID, want string) {
	t.Helper()
	natstest.Eventually(t, "message "+messageID+" to be an echo of "+want, func() bool {
		id, _ := l.EchoOf("42", messageID, subjects.Outgoing, printOf(Fingerprint("hello")))
		return id == want
	})
}

func TestAnotherBridgeKnowsEchoes(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	mustClaim(t, e, claimOf("before", "one"))
	mustSettle(t, e, outcomeOf("before", "100"))
	other := following(t, server)
	echoIs(t, other, "100", "before")
	mustClaim(t, e, claimOf("a", "one"))
	echoIs(t, other, "101", "a")
	mustSettle(t, e, outcomeOf("a", "101"))
	echoIs(t, other, "102", "")
	echoIs(t, other, "101", "a")
}

func TestFollowGoesOnAfterARestartOfTheServer(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	other := following(t, server)
	mustClaim(t, e, claimOf("a", "one"))
	mustSettle(t, e, outcomeOf("a", "100"))
	echoIs(t, other, "100", "a")
	server.Restart(t)
	eventually(t, func() error { _, err := e.Settle(testContext(t), new(outcomeOf("b", "200"))); return err })
	eventually(t, func() error { _, err := e.Settle(testContext(t), new(outcomeOf("c", "300"))); return err })
	echoIs(t, other, "200", "b")
	echoIs(t, other, "300", "c")
	echoIs(t, other, "100", "a")
}

func TestFollowWaitsForTheStream(t *testing.T) {
	server := natstest.Start(t)
	other := following(t, server)
	js := server.JetStream(t)
	natstest.CreateStream(t, js, streamConfig(t, 1))
	l := patient(t, js)
	mustSettle(t, begin(t, l, 1), outcomeOf("a", "100"))
	echoIs(t, other, "100", "a")
}

func TestFollowSkipsWhatItCannotRead(t *testing.T) {
	l, server := testLedger(t)
	other := following(t, server)
	for _, subject := range []string{l.claimSubject("x"), l.doneSubject("x")} {
		if _, err := l.js.Publish(testContext(t), subject, []byte(`{"v":2}`)); err != nil {
			t.Fatal(err)
		}
	}
	mustSettle(t, begin(t, l, 1), outcomeOf("a", "100"))
	echoIs(t, other, "100", "a")
}

func TestOwnEchoesAreKnownWithoutTheStream(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	c := mustClaim(t, e, claimOf("a", "one"))
	if id, ok := l.EchoOf("42", "100", subjects.Outgoing, printOf(Fingerprint("hello"))); !ok || id != "a" {
		t.Errorf("echo of %q while the call is under way", id)
	}
	mustRelease(t, e, c)
	if id, ok := l.EchoOf("42", "100", subjects.Outgoing, printOf(Fingerprint("hello"))); ok {
		t.Errorf("echo of %q after its release", id)
	}
	mustSettle(t, e, outcomeOf("a", "100"))
	if id, _ := l.EchoOf("", "100", "", printOf("")); id != "a" {
		t.Errorf("echo of %q after its outcome", id)
	}
}

func TestBridgesThatTakeTurnsKnowEachOthersEchoes(t *testing.T) {
	_, server := testLedger(t)
	bridges := []*Ledger{following(t, server), following(t, server)}
	for n := range 6 {
		active, other := bridges[n%2], bridges[1-n%2]
		e := begin(t, active, uint64(n+1))
		for _, what := range []string{"x", "y"} {
			id := fmt.Sprint("command", what, n)
			mustClaim(t, e, claimOf(id, "one"))
			echoIs(t, other, "not yet told", id)
			mustSettle(t, e, outcomeOf(id, "message of "+id))
			echoIs(t, other, "message of "+id, id)
			echoIs(t, active, "message of "+id, id)
		}
	}
}
