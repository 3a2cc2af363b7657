package command

import (
	"errors"
	"slices"
	"testing"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// TestTheFailureTableIsComplete holds the whole table, so that a change of it is made on purpose.
func TestTheFailureTableIsComplete(t *testing.T) {
	want := map[Failure][]Action{ // in the order of Operations
		FailureNone:        {ActDone, ActDone, ActDone, ActDone, ActDone, ActDone},
		FailureNotReached:  {ActRetry, ActRetry, ActRetry, ActRetry, ActRetry, ActRetry},
		FailureBusy:        {ActRetry, ActRetry, ActRetry, ActRetry, ActRetry, ActRetry},
		FailureRateLimited: {ActRetry, ActRetry, ActRetry, ActRetry, ActRetry, ActRetry},
		FailureFull:        {ActWait, ActWait, ActWait, ActWait, ActWait, ActWait},
		FailureLost:        {ActUnknown, ActUnknown, ActRetry, ActRetry, ActRetry, ActUnknown},
		FailureAlready:     {ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse},
		FailureAlreadyOurs: {ActRefuse, ActRefuse, ActRefuse, ActDone, ActDone, ActRefuse},
		FailureRefused:     {ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse},
		FailureOwn:         {ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse, ActRefuse},
	}
	rows := FailureTable()
	if len(rows) != len(Operations())*len(Failures()) || len(want) != len(Failures()) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		if w := want[row.Failure][slices.Index(Operations(), row.Operation)]; row.Action != w {
			t.Errorf("%s, %s: %s instead of %s", row.Operation, row.Failure, row.Action, w)
		}
	}
	if actionOf(PostMessage, "a new one") != ActUnknown {
		t.Error("what nobody thought of must be unknown")
	}
}

func TestFailuresAreSortedOut(t *testing.T) {
	for name, c := range map[string]struct {
		err      error
		repeated bool
		want     Failure
		reason   subjects.Reason
	}{
		"done":              {nil, false, FailureNone, subjects.ReasonInternal},
		"refused":           {errRefused, false, FailureNotReached, subjects.ReasonConnection},
		"503":               {errUnavailable, false, FailureBusy, subjects.ReasonUnavailable},
		"429":               {errTooFast, false, FailureRateLimited, subjects.ReasonRateLimited},
		"full":              {errFull, false, FailureFull, subjects.ReasonRateLimited},
		"500":               {errLost, false, FailureLost, subjects.ReasonUnavailable},
		"cut, repeatable":   {errCut, false, FailureLost, subjects.ReasonConnection},
		"404":               {errNotFound, false, FailureRefused, subjects.ReasonNotFound},
		"taken":             {errTaken, false, FailureAlready, subjects.ReasonRejected},
		"taken, repeated":   {errTaken, true, FailureAlreadyOurs, subjects.ReasonRejected},
		"401 without reply": {&cxapi.Error{Kind: cxapi.KindUnauthorized, Outcome: cxapi.OutcomeNever}, false, FailureRefused, subjects.ReasonUnauthorized},
		"malformed":         {&cxapi.Error{Kind: cxapi.KindMalformed, Outcome: cxapi.OutcomeNever}, false, FailureOwn, subjects.ReasonMalformed},
		"something else":    {errors.New("?"), false, FailureLost, subjects.ReasonInternal},
	} {
		got, cause := failed(c.err, c.repeated)
		if got != c.want || reasonOf(cause) != c.reason {
			t.Errorf("%s: %s, %s", name, got, reasonOf(cause))
		}
	}
}

// TestTheCausesOfTheAPIClientAreReasons of the contract's closed list.
func TestTheCausesOfTheAPIClientAreReasons(t *testing.T) {
	for _, k := range []cxapi.Kind{
		cxapi.KindMalformed, cxapi.KindUnauthorized, cxapi.KindForbidden, cxapi.KindNotFound, cxapi.KindRejected, cxapi.KindRateLimited,
		cxapi.KindUnavailable, cxapi.KindTimeout, cxapi.KindConnection, cxapi.KindCancelled, cxapi.KindInternal,
	} {
		if reasonOf(&cxapi.Error{Kind: k}) != subjects.Reason(k) {
			t.Errorf("%s is no reason", k)
		}
	}
}

func TestConfig(t *testing.T) {
	var keys []string
	report := func(key, _ string, _ any) { keys = append(keys, key) }
	DefaultConfig().Check(report)
	if keys != nil {
		t.Errorf("the defaults: %v", keys)
	}
	Config{ReplyPrefixes: []string{"", ">", "a.*.", "a b", "ok."}, RetryMax: -1, RetryFor: -1, EchoWait: -1}.Check(report)
	want := []string{
		"max_in_flight", "max_pending", "retry_initial", "retry_max", "retry_for", "echo_wait", "on_unknown", "ledger_ttl", "lease_ttl",
		"reply_prefixes", "reply_prefixes", "reply_prefixes", "reply_prefixes",
	}
	if !slices.Equal(keys, want) {
		t.Errorf("%v", keys)
	}
	if need := DefaultConfig().need(); need <= 0 || need > DefaultConfig().LeaseTTL/2 {
		t.Errorf("need %v", need)
	}
}
