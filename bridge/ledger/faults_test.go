package ledger

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// faulty fails publishes. A fault may let the message through first, as when only the acknowledgement is lost.
type faulty struct {
	jetstream.JetStream

	mu     sync.Mutex
	faults []fault
}

type fault struct {
	stored bool
	err    error
}

func (f *faulty) next() (fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.faults) == 0 {
		return fault{}, false
	}
	first := f.faults[0]
	f.faults = f.faults[1:]
	return first, true
}

func (f *faulty) meets(faults ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = faults
}

func (f *faulty) PublishMsg(ctx context.Context, message *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	fails, ok := f.next()
	if !ok || fails.stored {
		ack, err := f.JetStream.PublishMsg(ctx, message, opts...)
		if !ok || err != nil {
			return ack, err
		}
	}
	return nil, fails.err
}

func faultyLedger(t *testing.T) (*Ledger, *faulty) {
	t.Helper()
	l, _ := testLedger(t)
	f := &faulty{JetStream: l.js}
	return patient(t, f), f
}

func refusal(code jetstream.ErrorCode, http int, description string) error {
	return &jetstream.APIError{Code: http, ErrorCode: code, Description: description}
}

// passing are faults after which a record must be stored exactly once.
func passing() map[string][]fault {
	return map[string][]fault{
		"lost acknowledgement":       {{stored: true, err: nats.ErrTimeout}},
		"lost twice":                 {{stored: false, err: nats.ErrTimeout}, {stored: true, err: nats.ErrDisconnected}},
		"no leader":                  {{err: jetstream.ErrNoStreamResponse}, {err: refusal(10008, 503, "JetStream system temporarily unavailable")}},
		"another condition":          {{err: refusal(10164, 400, "wrong last sequence")}, {err: refusal(10071, 400, "wrong last sequence: 0")}},
		"another claim, then gone":   {{err: refusal(10077, 503, "maximum messages per subject exceeded")}},
		"lost, and then a condition": {{stored: true, err: context.DeadlineExceeded}, {err: refusal(10164, 400, "wrong last sequence")}},
	}
}

func TestAClaimIsMadeOnceInSpiteOfFaults(t *testing.T) {
	l, f := faultyLedger(t)
	e := begin(t, l, 1)
	for name, faults := range passing() {
		f.meets(faults...)
		c := mustClaim(t, e, claimOf(name, "one"))
		if found := mustFind(t, l, name); found.Claim == nil || found.Claim.Seq != c.Seq || found.Claim.Nonce != "one" {
			t.Errorf("%s: claimed %+v, found %+v", name, c, found.Claim)
		}
		_, err := e.Claim(testContext(t), claimOf(name, "two"))
		wantClaimed(t, err, "one")
	}
}

func TestAnOutcomeIsRecordedOnceInSpiteOfFaults(t *testing.T) {
	l, f := faultyLedger(t)
	e := begin(t, l, 1)
	for name, faults := range passing() {
		mustClaim(t, e, claimOf(name, "one"))
		f.meets(faults...)
		claimed := mustSettle(t, e, outcomeOf(name, "100"))
		f.meets(faults...)
		unclaimed := mustSettle(t, e, outcomeOf(name+" unclaimed", ""))
		for id, want := range map[string]uint64{name: claimed.Seq, name + " unclaimed": unclaimed.Seq} {
			if found := mustFind(t, l, id); found.Outcome == nil || found.Outcome.Seq != want || want == 0 {
				t.Errorf("%s: settled as %d, found %+v", id, want, found.Outcome)
			}
		}
	}
}

func TestAnEpochBeginsInSpiteOfFaults(t *testing.T) {
	l, f := faultyLedger(t)
	number := uint64(0)
	for name, faults := range passing() {
		number++
		f.meets(faults...)
		e := begin(t, l, number)
		if _, err := e.Claim(testContext(t), claimOf(name, "one")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsNotKnownIsToldAfterSomeTries(t *testing.T) {
	l, f := faultyLedger(t)
	e := begin(t, l, 1)
	l.tries = 3
	lost := fault{stored: true, err: nats.ErrTimeout}
	never := fault{err: nats.ErrTimeout}
	f.meets(lost, never, never)
	var claimed *ClaimedError
	if _, err := e.Claim(testContext(t), claimOf("a", "one")); !errors.Is(err, nats.ErrTimeout) || errors.As(err, &claimed) {
		t.Errorf("claim: %v", err)
	}
	c := mustClaim(t, e, claimOf("a", "one"))
	if c.Seq == 0 || c.At.IsZero() {
		t.Errorf("the same claim again: %+v", c)
	}
}
