package command

import (
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// keptAnswer is what came of a call whose end could not be recorded because its term was over, or the bus away. If this bridge is the next
// active one, too, it knows what it would otherwise have to find out from the events.
type keptAnswer struct {
	outcome *ledger.Outcome // nil: the call was certainly not carried out, or may be repeated, and the claim is to be given back
	former  *job            // how far it was
}

// keep remembers the calls whose end the ledger does not know, when a term is over. What an earlier term kept is forgotten: somebody else
// has dealt with it.
func (s *shift) keep() {
	kept := make(map[string]keptAnswer)
	s.held.mu.Lock()
	for _, j := range s.held.jobs {
		if j.progress != nil && j.unrecorded && !j.calling && !j.foreign && j.claim.Nonce != "" {
			kept[j.claim.Nonce] = keptAnswer{outcome: j.ended, former: j}
		}
		if j.progress != nil {
			j.story.leave()
		}
	}
	s.held.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Runner.kept = kept
}

func (s *shift) recall(claim ledger.Claim) (keptAnswer, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, found := s.Runner.kept[claim.Nonce]
	return kept, found
}

// resume goes on with a command where an earlier term of this bridge was.
func (j *job) resume(kept keptAnswer) state {
	f := kept.former
	j.attempts, j.history, j.ambiguous, j.spent, j.backoff = f.attempts, f.history, f.ambiguous, f.spent, f.backoff
	j.httpStatus, j.response = f.httpStatus, f.response
	if j.contact.IsZero() {
		j.contact = f.contact
	}
	if kept.outcome != nil {
		return j.settle(kept.outcome)
	}
	if j.kind == subjects.ConversationStart && j.command.Start.Contact != nil && !f.contact.IsZero() {
		return j.remember(CreateItsContact)
	}
	return j.release(0)
}
