package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func longAgo() time.Time { return time.Now().Add(-time.Hour) }

func madeByAnother(t *testing.T, l *Ledger, since time.Time, id string) func(string) bool {
	t.Helper()
	made, err := l.MadeByAnother(testContext(t), since, id)
	if err != nil {
		t.Fatal(err)
	}
	return made.Made
}

func TestMessagesOfOtherCommandsAreKnown(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	if made := madeByAnother(t, l, longAgo(), "b"); made("100") {
		t.Error("a message is known before it is made")
	}
	for _, id := range []string{"a", "b", "c"} {
		mustClaim(t, e, claimOf(id, "one"))
		mustSettle(t, e, outcomeOf(id, "message-"+id))
		made := madeByAnother(t, l, longAgo(), "b")
		if !made("message-a") || made("message-b") || made("") || made("something else") || made("message-c") != (id == "c") {
			t.Errorf("after %s: wrong", id)
		}
	}
}

func TestAMessageOfACommandThatWasReleasedIsKnown(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	mustSettle(t, e, outcomeOf("a", "100"))
	if !madeByAnother(t, l, longAgo(), "b")("100") {
		t.Error("the message is not known")
	}
	if found := mustFind(t, l, "a"); found.Outcome == nil {
		t.Error("the outcome is not found")
	}
}

func TestOnlyWhatIsAskedForIsRead(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	mustSettle(t, e, outcomeOf("a", "100"))
	if madeByAnother(t, l, time.Now().Add(2*windowLead), "x")("100") {
		t.Error("an outcome was read that is older than asked for")
	}
	early := madeByAnother(t, l, longAgo(), "x")
	late := madeByAnother(t, l, time.Now().Add(3*windowLead), "x")
	if !early("100") || late("100") {
		t.Error("windows are mixed up")
	}
}

func TestManySearchesAtOnceShareOneReading(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	const outcomes, searches = 300, 100
	for i := range outcomes {
		id := fmt.Sprint(i)
		if _, err := e.Settle(testContext(t), new(outcomeOf(id, "m"+id))); err != nil {
			t.Fatal(err)
		}
	}
	readers := advised(t, server)
	var group sync.WaitGroup
	since := time.Now()
	for i := range searches {
		group.Go(func() {
			made, err := l.MadeByAnother(t.Context(), since.Add(-time.Duration(i)*time.Second/10), "0")
			if err != nil {
				t.Errorf("search: %v", err)
				return
			}
			if made.Made("m0") || !made.Made("m1") || !made.Made(fmt.Sprint("m", outcomes-1)) {
				t.Error("a message is missing")
			}
		})
	}
	group.Wait()
	natstest.Eventually(t, "the news of a reader", func() bool { return readers() > 0 })
	if n := readers(); n > 3 {
		t.Errorf("%d readers for %d searches", n, searches)
	}
}

// advised returns a function that tells how many consumers were created on the ledger since.
func advised(t *testing.T, server *natstest.Server) func() int {
	t.Helper()
	conn := server.Conn(t)
	created, err := conn.SubscribeSync("$JS.EVENT.ADVISORY.CONSUMER.CREATED.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return func() int {
		if err := conn.FlushTimeout(natstest.Patience); err != nil {
			t.Fatal(err)
		}
		n, _, err := created.Pending()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func TestASearchGoesOnAfterARestartOfTheServer(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	mustSettle(t, e, outcomeOf("a", "100"))
	madeByAnother(t, l, longAgo(), "x")
	server.Restart(t)
	eventually(t, func() error { _, err := e.Settle(testContext(t), new(outcomeOf("b", "200"))); return err })
	made := madeByAnother(t, l, longAgo(), "x")
	if !made("100") || !made("200") {
		t.Error("a message is missing")
	}
}

func TestASearchEndsWithItsContext(t *testing.T) {
	l, _ := testLedger(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.MadeByAnother(ctx, longAgo(), "x"); err == nil {
		t.Error("no error")
	}
}

func TestAnOutcomeThatCannotBeReadMakesASearchIncompleteForAWhile(t *testing.T) {
	l, _ := testLedger(t)
	mustSettle(t, begin(t, l, 1), outcomeOf("b", "200"))
	if _, err := l.js.Publish(testContext(t), l.doneSubject("a"), []byte(`{"v":2}`)); err != nil {
		t.Fatal(err)
	}
	stream, err := l.js.Stream(testContext(t), l.stream)
	if err != nil {
		t.Fatal(err)
	}
	at := stream.CachedInfo().State.LastTime
	for since, complete := range map[time.Time]bool{at.Add(-time.Minute): false, at: false, at.Add(time.Nanosecond): true} {
		made, err := l.MadeByAnother(testContext(t), since, "x")
		if err != nil || made.Complete() != complete || !made.Made("200") {
			t.Errorf("since %v: complete %v, %v", since.Sub(at), made.Complete(), err)
		}
	}
}

func TestRecordsThroughTheAPIPrefixOfADomain(t *testing.T) {
	_, server := testLedger(t)
	js, err := jetstream.NewWithAPIPrefix(server.Conn(t), "$JS.API.", jetstream.WithDefaultTimeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	prefixed := patient(t, js)
	mustClaim(t, begin(t, prefixed, 1), claimOf("a", "one"))
	if found := mustFind(t, prefixed, "a"); found.Claim == nil {
		t.Error("nothing was found")
	}
}

// TestASearchFollowsALedgerThatWasMadeAnew: its sequences begin again.
func TestASearchFollowsALedgerThatWasMadeAnew(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	for _, id := range []string{"a", "b", "c"} {
		mustClaim(t, e, claimOf(id, id))
		mustSettle(t, e, outcomeOf(id, "message-"+id))
	}
	if made := madeByAnother(t, l, longAgo(), "x"); !made("message-c") {
		t.Fatal("a message is not known")
	}
	js := server.JetStream(t)
	if err := js.DeleteStream(testContext(t), l.stream); err != nil {
		t.Fatal(err)
	}
	natstest.CreateStream(t, js, streamConfig(t, 1))
	if _, err := e.Claim(testContext(t), claimOf("d", "d")); !errors.Is(err, ErrFenced) {
		t.Fatal(err)
	}
	e = begin(t, l, 2)
	mustClaim(t, e, claimOf("d", "d"))
	mustSettle(t, e, outcomeOf("d", "message-d"))
	if made := madeByAnother(t, l, longAgo(), "x"); !made("message-d") {
		t.Error("a message is not known after the stream was made anew")
	}
}
