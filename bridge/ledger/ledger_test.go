package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func testNames(t *testing.T) subjects.Names {
	t.Helper()
	names, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// streamConfig is the ledger stream as the bridge creates it.
func streamConfig(t *testing.T, replicas int) jetstream.StreamConfig {
	t.Helper()
	names := testNames(t)
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: replicas, LedgerTTL: time.Hour, DuplicateWindow: time.Minute}) {
		if s.Name != names.LedgerStream() {
			continue
		}
		return jetstream.StreamConfig{
			Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, Replicas: s.Replicas, MaxMsgsPerSubject: s.MaxMsgsPerSubject, Discard: jetstream.DiscardNew,
			DiscardNewPerSubject: s.DiscardNewPerSubject, AllowDirect: s.AllowDirect, AllowMsgTTL: s.AllowMsgTTL, Duplicates: s.DuplicateWindow,
		}
	}
	t.Fatal("no ledger stream")
	return jetstream.StreamConfig{}
}

func testLedger(t *testing.T, change ...func(*jetstream.StreamConfig)) (*Ledger, *natstest.Server) {
	t.Helper()
	server := natstest.Start(t)
	js := server.JetStream(t)
	config := streamConfig(t, 1)
	for _, c := range change {
		c(&config)
	}
	natstest.CreateStream(t, js, config)
	return patient(t, js), server
}

// patient returns a ledger that repeats its requests for as long as a test may take.
func patient(t *testing.T, js jetstream.JetStream) *Ledger {
	t.Helper()
	l := New(js, testNames(t), slog.New(slog.DiscardHandler))
	l.tries = int(natstest.Patience / attemptTime)
	return l
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func begin(t *testing.T, l *Ledger, number uint64) *Epoch {
	t.Helper()
	e, err := l.Begin(testContext(t), number)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func claimOf(id, nonce string) Claim {
	return Claim{
		CommandID: id, Nonce: nonce, Kind: subjects.MessageSend, Key: "conversation/42", MessageType: subjects.Outgoing, Fingerprint: Fingerprint("hello"),
	}
}

func outcomeOf(id, messageID string) Outcome {
	return Outcome{
		Result: subjects.Result{
			CommandID: id, Command: subjects.MessageSend, Status: subjects.StatusDone, ConversationID: subjects.NumberID(42),
			Response: json.RawMessage(`{"id":1}`), FinishedAt: subjects.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)},
		},
		Key: "conversation/42", ReplyTo: "_INBOX.x", MessageID: messageID, Fingerprint: Fingerprint("hello"),
		History: []subjects.Attempt{{HTTPStatus: 503, Reason: subjects.ReasonUnavailable, Detail: "busy"}},
	}
}

func mustClaim(t *testing.T, e *Epoch, c Claim) Claim {
	t.Helper()
	claimed, err := e.Claim(testContext(t), c)
	if err != nil {
		t.Fatal(err)
	}
	return claimed
}

func mustRelease(t *testing.T, e *Epoch, c Claim) uint64 {
	t.Helper()
	seq, err := e.Release(testContext(t), c, Progress{})
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

func mustSettle(t *testing.T, e *Epoch, o Outcome) Outcome {
	t.Helper()
	stands, err := e.Settle(testContext(t), &o)
	if err != nil {
		t.Fatal(err)
	}
	return *stands
}

func mustFind(t *testing.T, l *Ledger, id string) Record {
	t.Helper()
	record, err := l.Find(testContext(t), id)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func wantClaimed(t *testing.T, err error, nonce string) Claim {
	t.Helper()
	var claimed *ClaimedError
	if !errors.As(err, &claimed) || claimed.Claim.Nonce != nonce {
		t.Fatalf("error %v, want a claim of %s", err, nonce)
	}
	return claimed.Claim
}

func TestACommandIsClaimedOnce(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 7)
	first := mustClaim(t, e, claimOf("a", "one"))
	again := mustClaim(t, e, claimOf("a", "one"))
	if first.Seq == 0 || first.Epoch != 7 || again.Seq != first.Seq || again.At.IsZero() {
		t.Errorf("claims %+v and %+v", first, again)
	}
	_, err := e.Claim(testContext(t), claimOf("a", "two"))
	former := wantClaimed(t, err, "one")
	if diff := cmp.Diff(again, former); diff != "" {
		t.Errorf("former claim (-want +got)\n%s", diff)
	}
	at, err := l.ClaimedAt(testContext(t), first)
	if err != nil || !at.Equal(former.At) {
		t.Errorf("claimed at %v, %v; want %v", at, err, former.At)
	}
}

func TestClaimNeedsAnIDAndANonce(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	for _, c := range []Claim{{CommandID: "a"}, {Nonce: "n"}} {
		if _, err := e.Claim(testContext(t), c); err == nil {
			t.Errorf("claim %+v was accepted", c)
		}
	}
}

func TestAnyIDCanBeClaimed(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	for _, id := range []string{"a.b", "a b>*", "äöü", "..", "x\ny"} {
		mustClaim(t, e, claimOf(id, "one"))
		if found := mustFind(t, l, id); found.Claim == nil || found.Claim.CommandID != id {
			t.Errorf("found %+v for %q", found, id)
		}
	}
}

func TestOneOfManyClaimantsWins(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	const commands, claimants = 20, 8
	var mu sync.Mutex
	winners := map[string]int{}
	var group sync.WaitGroup
	for n := range claimants {
		other := &Epoch{ledger: patient(t, server.JetStream(t)), number: 1, held: map[string]struct{}{}}
		for i := range e.parts {
			other.parts[i].subject, other.parts[i].turn = e.parts[i].subject, make(chan struct{}, 1)
			other.parts[i].turn <- struct{}{}
			other.parts[i].seq.Store(e.parts[i].seq.Load())
		}
		group.Go(func() {
			for i := range commands {
				id := fmt.Sprint("c", i)
				_, err := other.Claim(t.Context(), claimOf(id, fmt.Sprint("claimant", n)))
				var claimed *ClaimedError
				if err != nil && !errors.As(err, &claimed) {
					t.Errorf("claim: %v", err)
				}
				if err == nil {
					mu.Lock()
					winners[id]++
					mu.Unlock()
				}
			}
		})
	}
	group.Wait()
	for i := range commands {
		if id := fmt.Sprint("c", i); winners[id] != 1 {
			t.Errorf("%d claimants won %s", winners[id], id)
		}
	}
}

func TestAFullLedgerIsNotAClaimedCommand(t *testing.T) {
	l, _ := testLedger(t, func(c *jetstream.StreamConfig) { c.MaxMsgs = parts + 2 })
	e := begin(t, l, 1)
	mustClaim(t, e, claimOf("a", "one"))
	mustClaim(t, e, claimOf("b", "one"))
	_, err := e.Claim(testContext(t), claimOf("c", "one"))
	if !errors.Is(err, ErrFull) {
		t.Errorf("claim in a full ledger: %v", err)
	}
	_, err = e.Claim(testContext(t), claimOf("a", "two"))
	wantClaimed(t, err, "one")
	if _, err := e.Settle(testContext(t), new(outcomeOf("a", "100"))); !errors.Is(err, ErrFull) {
		t.Errorf("outcome in a full ledger: %v", err)
	}
}

func TestARecordOfALaterVersionIsAnError(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 1)
	for id, body := range map[string]string{"a": `{"v":2,"nonce":"one","command_id":"a"}`, "b": `[`} {
		if _, err := l.js.Publish(testContext(t), l.claimSubject(id), []byte(body)); err != nil {
			t.Fatal(err)
		}
		var claimed *ClaimedError
		if _, err := e.Claim(testContext(t), claimOf(id, "one")); err == nil || errors.As(err, &claimed) {
			t.Errorf("claim over %s: %v", body, err)
		}
		if _, err := l.Find(testContext(t), id); err == nil {
			t.Errorf("%s was read", body)
		}
	}
}

func TestUnknownMembersAreIgnored(t *testing.T) {
	l, _ := testLedger(t)
	body := `{"v":1,"command_id":"a","nonce":"one","epoch":3,"kind":"message.send","colour":{"of":"the sea"}}`
	if _, err := l.js.Publish(testContext(t), l.claimSubject("a"), []byte(body)); err != nil {
		t.Fatal(err)
	}
	if found := mustFind(t, l, "a"); found.Claim == nil || found.Claim.Nonce != "one" {
		t.Errorf("found %+v", found)
	}
}

func TestClaimsAndOutcomesSurviveARestartOfTheServer(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	mustClaim(t, e, claimOf("a", "one"))
	mustClaim(t, e, claimOf("b", "one"))
	mustSettle(t, e, outcomeOf("b", "100"))
	server.Restart(t)
	eventually(t, func() error {
		_, err := e.Claim(testContext(t), claimOf("c", "one"))
		return err
	})
	_, err := e.Claim(testContext(t), claimOf("a", "two"))
	wantClaimed(t, err, "one")
	if found := mustFind(t, l, "b"); found.Outcome == nil || found.Outcome.MessageID != "100" {
		t.Errorf("found %+v", found)
	}
	eventually(t, func() error { _, err := l.Begin(testContext(t), 2); return err })
	if _, err := e.Claim(testContext(t), claimOf("d", "one")); !errors.Is(err, ErrFenced) {
		t.Errorf("claim of the former epoch: %v", err)
	}
}

// TestAClaimWhoseAcknowledgementIsLost lets the server store a claim and keeps the answer from the client.
func TestAClaimWhoseAcknowledgementIsLost(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	c := claimOf("a", "one")
	c.Epoch = 1
	body, err := json.Marshal(c.record())
	if err != nil {
		t.Fatal(err)
	}
	p := e.part(c.Key)
	stored := &nats.Msg{Subject: l.claimSubject("a"), Data: body}
	ack, err := server.JetStream(t).PublishMsg(testContext(t), stored, jetstream.WithExpectLastSequenceForSubject(p.seq.Load(), p.subject))
	if err != nil {
		t.Fatal(err)
	}
	if got := mustClaim(t, e, claimOf("a", "one")); got.Seq != ack.Sequence || !e.holds("a") {
		t.Errorf("claim %+v, want sequence %d", got, ack.Sequence)
	}
}

func TestWithoutAnAnswerTheCallerIsTold(t *testing.T) {
	l, server := testLedger(t)
	e := begin(t, l, 1)
	server.Stop()
	l.tries = 2
	_, err := e.Claim(testContext(t), claimOf("a", "one"))
	var claimed *ClaimedError
	if err == nil || errors.Is(err, ErrFenced) || errors.Is(err, ErrFull) || errors.As(err, &claimed) {
		t.Errorf("claim without a server: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Begin(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("begin after the end: %v", err)
	}
}

// eventually repeats what fails while a server restarts.
func eventually(t *testing.T, do func() error) {
	t.Helper()
	var err error
	natstest.Eventually(t, "success", func() bool { err = do(); return err == nil })
}
