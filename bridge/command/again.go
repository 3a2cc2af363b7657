package command

import (
	"context"
	"fmt"
	"time"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// keptHistory is how many calls a record of a claim that was given back tells, besides those that may have been carried out.
const keptHistory = 10

// release gives the claim back, because what it was for was certainly not done, or may be done again; after the wait comes another attempt.
func (j *job) release(wait time.Duration) state {
	return func(ctx context.Context) (time.Duration, state) {
		after, err := j.shift.epoch.Release(ctx, j.claim, j.soFar())
		if err != nil {
			return j.fault(err)
		}
		j.claim, j.after, j.foreign, j.unrecorded, j.nonce = ledger.Claim{}, after, false, false, ""
		return j.untilExpiry(wait), j.ready
	}
}

// soFar is what the next attempt has to know, should another bridge make it.
func (j *job) soFar() ledger.Progress {
	p := ledger.Progress{Attempts: j.attempts, Unsure: j.ambiguous, Spent: j.spent}
	for i, a := range j.history {
		if a.Reason == subjects.ReasonOutcomeUnknown || len(j.history)-i <= keptHistory {
			p.History = append(p.History, a)
		}
	}
	return p
}

// goOn continues where an earlier life of the command was.
func (j *job) goOn(p ledger.Progress) {
	if j.attempts > 0 { // this life knows better
		return
	}
	j.attempts, j.ambiguous, j.spent, j.history = p.Attempts, p.Unsure, p.Spent, p.History
}

// misused ends a command whose id was used for a command of another kind. It has a result of its own, beside that of the other one, and the ledger
// need not know of it: whoever finds the message again comes to the same end.
func (j *job) misused(kind subjects.Kind) state {
	j.clash = true
	return j.besides(verdict{
		subjects.StatusInvalid, subjects.ReasonMalformed, fmt.Sprintf("the command id was used before, for a command %s; a command needs an id of its own", kind),
	})
}

// illegible ends a command of which the ledger has a record that cannot be read, and never will be: nothing is done that may have been done before.
func (j *job) illegible(cause error) state {
	return j.besides(verdict{subjects.StatusUnknown, subjects.ReasonOutcomeUnknown, "it may have been carried out before: " + cause.Error()})
}

// besides ends a command without the ledger.
func (j *job) besides(v verdict) state {
	j.found = true
	return j.answer(j.outcome(v))
}
