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

func TestAZombieCanNeitherClaimNorSettleNorRelease(t *testing.T) {
	l, server := testLedger(t)
	zombie := begin(t, l, 5)
	claimed := mustClaim(t, zombie, claimOf("a", "one"))
	begin(t, patient(t, server.JetStream(t)), 6)
	for i := range 2 * parts {
		c := claimOf(fmt.Sprint("b", i), "one")
		c.Key = fmt.Sprint("conversation/", i)
		if _, err := zombie.Claim(testContext(t), c); !errors.Is(err, ErrFenced) {
			t.Errorf("zombie claimed: %v", err)
		}
		if found := mustFind(t, l, c.CommandID); found.Claim != nil {
			t.Errorf("claim of a zombie was stored: %+v", found.Claim)
		}
	}
	if _, err := zombie.Settle(testContext(t), new(outcomeOf("a", "100"))); !errors.Is(err, ErrFenced) {
		t.Errorf("zombie settled: %v", err)
	}
	if _, err := zombie.Settle(testContext(t), new(outcomeOf("c", "100"))); !errors.Is(err, ErrFenced) {
		t.Errorf("zombie settled without a claim: %v", err)
	}
	if _, err := zombie.Release(testContext(t), claimed, Progress{}); !errors.Is(err, ErrFenced) {
		t.Errorf("zombie released: %v", err)
	}
	if found := mustFind(t, l, "a"); found.Claim == nil || found.Outcome != nil {
		t.Errorf("found %+v", found)
	}
}

func TestALowerEpochCannotBegin(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 5)
	if _, err := l.Begin(testContext(t), 4); !errors.Is(err, ErrFenced) {
		t.Errorf("begin of a lower epoch: %v", err)
	}
	again := begin(t, l, 5)
	mustClaim(t, again, claimOf("a", "one"))
	mustClaim(t, e, claimOf("b", "one"))
	if e.Number() != 5 {
		t.Errorf("epoch %d", e.Number())
	}
}

func TestTheHighestOfManyEpochsThatBeginAtOnceStays(t *testing.T) {
	_, server := testLedger(t)
	const most = 8
	epochs := make([]*Epoch, most+1)
	var group sync.WaitGroup
	for n := 1; n <= most; n++ {
		own := patient(t, server.JetStream(t))
		group.Go(func() {
			e, err := own.Begin(t.Context(), uint64(n))
			if err != nil && !errors.Is(err, ErrFenced) {
				t.Errorf("begin epoch %d: %v", n, err)
			}
			epochs[n] = e
		})
	}
	group.Wait()
	if epochs[most] == nil {
		t.Fatal("the highest epoch did not begin")
	}
	for n, e := range epochs {
		if e == nil {
			continue
		}
		for i := range 2 * parts {
			c := claimOf(fmt.Sprint(n, "-", i), "one")
			c.Key = fmt.Sprint("conversation/", i)
			_, err := e.Claim(testContext(t), c)
			if n == most && err != nil || n < most && !errors.Is(err, ErrFenced) {
				t.Errorf("claim in epoch %d: %v", n, err)
			}
		}
	}
}

func TestAnEpochThatBreaksOffBetweenPurgeAndPublishFencesEverybody(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 5)
	p := e.part("conversation/42")
	if err := l.purge(testContext(t), p.subject, p.seq.Load()); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Claim(testContext(t), claimOf("a", "one")); !errors.Is(err, ErrFenced) {
		t.Errorf("claim without an epoch record: %v", err)
	}
	mustClaim(t, begin(t, l, 6), claimOf("a", "two"))
}

func TestALatePurgeTakesNothingAway(t *testing.T) {
	l, _ := testLedger(t)
	former := begin(t, l, 5)
	e := begin(t, l, 6)
	p := former.part("conversation/42")
	if err := l.purge(testContext(t), p.subject, p.seq.Load()); err != nil {
		t.Fatal(err)
	}
	mustClaim(t, e, claimOf("a", "one"))
}

func TestEpochRecordsDoNotExpire(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 5)
	stream, err := l.js.Stream(testContext(t), l.stream)
	if err != nil {
		t.Fatal(err)
	}
	for i := range e.parts {
		message, err := stream.GetLastMsgForSubject(testContext(t), e.parts[i].subject)
		if err != nil || message.Header.Get(jetstream.MsgTTLHeader) != "never" {
			t.Errorf("epoch record %d: %+v, %v", i, message, err)
		}
	}
}

// TestReplicated does the decisive things on a stream of three replicas, where conditions collide and a leader goes away.
func TestReplicated(t *testing.T) {
	cluster := natstest.StartCluster(t, 3)
	natstest.CreateStream(t, cluster.JetStream(t), streamConfig(t, 3))
	former := patient(t, cluster.JetStream(t))
	l := patient(t, cluster.JetStream(t))
	zombie := begin(t, former, 1)
	e := begin(t, l, 2)
	const claimants, commands = 8, 10
	var group sync.WaitGroup
	for n := range claimants {
		group.Go(func() {
			for i := range commands {
				c := claimOf(fmt.Sprint(n, "-", i), "one")
				claimAndSettle(t, e, c)
				if _, err := zombie.Claim(t.Context(), claimOf(fmt.Sprint("z", n, "-", i), "one")); !errors.Is(err, ErrFenced) {
					t.Errorf("zombie claimed: %v", err)
				}
			}
		})
	}
	group.Wait()
	leader := cluster.StreamLeader(t, l.stream)
	leader.Stop()
	eventually(t, func() error { _, err := e.Claim(testContext(t), claimOf("after", "one")); return err })
	eventually(t, func() error { _, err := e.Claim(testContext(t), claimOf("0-0", "two")); return onlyClaimed(err) })
	eventually(t, func() error { _, err := e.Settle(testContext(t), new(outcomeOf("after", "m-after"))); return err })
	made := func(id string) bool {
		var found bool
		eventually(t, func() error {
			attempt, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			byAnother, err := l.MadeByAnother(attempt, longAgo(), "x")
			found = err == nil && byAnother.Made(id)
			return err
		})
		return found
	}
	for _, id := range []string{"m-0-0", "m-7-9", "m-after"} {
		if !made(id) {
			t.Errorf("message %s is missing", id)
		}
	}
	leader.Restart(t)
	cluster.WaitReady(t)
}

func claimAndSettle(t *testing.T, e *Epoch, c Claim) {
	t.Helper()
	if _, err := e.Claim(t.Context(), c); err != nil {
		t.Errorf("claim: %v", err)
		return
	}
	if _, err := e.Settle(t.Context(), new(outcomeOf(c.CommandID, "m-"+c.CommandID))); err != nil {
		t.Errorf("settle: %v", err)
	}
}

// onlyClaimed is nil for the error of a claim that must be taken, and else tells what happened instead.
func onlyClaimed(err error) error {
	var claimed *ClaimedError
	if errors.As(err, &claimed) {
		return nil
	}
	return fmt.Errorf("not claimed before: %w", err)
}

// TestWhatAPredecessorClaimedIsKnownToItsSuccessor lets one claim as fast as it can while the other one begins and claims the same.
func TestWhatAPredecessorClaimedIsKnownToItsSuccessor(t *testing.T) {
	l, server := testLedger(t)
	former := begin(t, l, 1)
	const commands = 1000
	byFormer, bySuccessor, started := make([]bool, commands), make([]bool, commands), make(chan struct{})
	claim := func(e *Epoch, i int, nonce string) bool {
		c := claimOf(fmt.Sprint("c", i), nonce)
		c.Key = fmt.Sprint("conversation/", i)
		_, err := e.Claim(t.Context(), c)
		if err != nil && !errors.Is(err, ErrFenced) && onlyClaimed(err) != nil {
			t.Errorf("claim by the %s: %v", nonce, err)
		}
		return err == nil
	}
	var group sync.WaitGroup
	group.Go(func() {
		for i := range commands {
			if i == commands/10 {
				close(started)
			}
			byFormer[i] = claim(former, i, "former")
		}
	})
	<-started
	e := begin(t, patient(t, server.JetStream(t)), 2)
	for i := range commands {
		bySuccessor[i] = claim(e, i, "successor")
	}
	group.Wait()
	for i := range commands {
		found := mustFind(t, l, fmt.Sprint("c", i))
		if byFormer[i] == bySuccessor[i] || found.Claim == nil || (found.Claim.Nonce == "former") != byFormer[i] {
			t.Errorf("command %d: claimed by the former %v, by the successor %v, found %+v", i, byFormer[i], bySuccessor[i], found.Claim)
		}
	}
}
