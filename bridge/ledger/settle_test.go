package ledger

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cxbridge/cxbridge/subjects"
)

func TestTheFirstOutcomeStands(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	mustClaim(t, e, claimOf("a", "one"))
	first := mustSettle(t, e, outcomeOf("a", "100"))
	for range 2 {
		second := mustSettle(t, e, outcomeOf("a", "200"))
		if second.MessageID != "100" || second.Seq != first.Seq {
			t.Errorf("second outcome stands: %+v", second)
		}
	}
	found := mustFind(t, l, "a")
	want := outcomeOf("a", "100")
	want.Seq, want.At = found.Outcome.Seq, found.Outcome.At
	if diff := cmp.Diff(want, *found.Outcome, cmp.Comparer(func(a, b subjects.ID) bool { return a == b }), cmpopts.IgnoreUnexported(Outcome{})); diff != "" {
		t.Errorf("outcome (-want +got)\n%s", diff)
	}
	if found.Claim == nil || found.Claim.Nonce != "one" || found.Outcome.At.IsZero() {
		t.Errorf("found %+v", found)
	}
	_, err := e.Claim(testContext(t), claimOf("a", "two"))
	wantClaimed(t, err, "one")
}

func TestACommandThatEndedUnclaimedCannotBeClaimed(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	o := outcomeOf("a", "")
	o.Result.Status = subjects.StatusExpired
	first := mustSettle(t, e, o)
	_, err := e.Claim(testContext(t), claimOf("a", "one"))
	wantClaimed(t, err, "")
	o.Result.Status = subjects.StatusDone
	if stands := mustSettle(t, e, o); stands.Result.Status != subjects.StatusExpired || stands.Seq != first.Seq {
		t.Errorf("stands %+v", stands)
	}
	found := mustFind(t, l, "a")
	if found.Claim != nil || found.Outcome == nil || found.Outcome.Result.Status != subjects.StatusExpired {
		t.Errorf("found %+v", found)
	}
}

func TestACommandThatWasGivenUpBetweenTwoCallsCannotBeClaimed(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	c := mustClaim(t, e, claimOf("a", "one"))
	o := outcomeOf("a", "")
	o.Result.Status, o.After = subjects.StatusExhausted, mustRelease(t, e, c)
	first := mustSettle(t, e, o)
	again := claimOf("a", "two")
	again.After = o.After
	_, err := e.Claim(testContext(t), again)
	wantClaimed(t, err, "")
	if found := mustFind(t, l, "a"); found.Claim != nil || found.Released != 0 || found.Outcome == nil || found.Outcome.Seq != first.Seq {
		t.Errorf("found %+v", found)
	}
	if stands := mustSettle(t, e, o); stands.Seq != first.Seq {
		t.Errorf("stands %+v", stands)
	}
}

func TestASuccessorSettlesAnOpenClaim(t *testing.T) {
	l, server := testLedger(t)
	mustClaim(t, begin(t, l, 3), claimOf("a", "one"))
	successor := patient(t, server.JetStream(t))
	e := begin(t, successor, 4)
	_, err := e.Claim(testContext(t), claimOf("a", "two"))
	former := wantClaimed(t, err, "one")
	if found := mustFind(t, successor, "a"); found.Outcome != nil || found.Claim == nil || former.Epoch != 3 {
		t.Fatalf("found %+v", found)
	}
	mustSettle(t, e, outcomeOf("a", "100"))
	found := mustFind(t, l, "a")
	if found.Claim == nil || found.Outcome == nil || found.Outcome.MessageID != "100" {
		t.Errorf("found %+v", found)
	}
}

func TestAnOutcomeStaysFirstWhenItsClaimIsGone(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	c := mustClaim(t, e, claimOf("a", "one"))
	mustSettle(t, e, outcomeOf("a", "100"))
	mustRelease(t, e, c)
	if stands := mustSettle(t, e, outcomeOf("a", "")); stands.MessageID != "100" {
		t.Errorf("stands %+v", stands)
	}
}

func TestAnOutcomeThatIsTooLargeLosesItsResponse(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	o := outcomeOf("a", "100")
	o.Result.Response = json.RawMessage(`"` + strings.Repeat("x", 2<<20) + `"`)
	mustClaim(t, e, claimOf("a", "one"))
	if stands := mustSettle(t, e, o); stands.Result.Response != nil || stands.MessageID != "100" {
		t.Errorf("stands without response? %v", stands.Result.Response == nil)
	}
}

func TestAResultIsThePublishedOneWhoeverAsksForIt(t *testing.T) {
	l, _ := testLedger(t)
	e := begin(t, l, 3)
	text := func(o Outcome) string {
		body, err := o.ResultJSON()
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	o := outcomeOf("a", "100")
	o.Result.Detail, o.Result.Response = "a < b", json.RawMessage(`{ "text": "a < b" }`)
	mustClaim(t, e, claimOf("a", "one"))
	stands := mustSettle(t, e, o)
	if found := mustFind(t, l, "a"); text(stands) != text(o) || text(*found.Outcome) != text(o) {
		t.Errorf("%s\n%s\n%s", text(o), text(stands), text(*found.Outcome))
	}
	stands.DropResponse()
	if o.Result.Response = nil; text(stands) != text(o) {
		t.Errorf("without response: %s", text(stands))
	}
}
