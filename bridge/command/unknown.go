package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

const (
	// clockMargin is how far the clocks of the servers may be apart that store claims and events.
	clockMargin = 2 * time.Second
	// lookBack is how late an event may come that belongs to an earlier command of the same conversation.
	lookBack = 15 * time.Minute

	firstLook = 100 * time.Millisecond // between two looks for an echo, doubled each time
	lastLook  = time.Second
)

// interrupted goes on with a claim of an earlier life, under which a call may have been made.
func (j *job) interrupted(claim ledger.Claim) state {
	j.claim, j.after, j.foreign, j.ambiguous = claim, claim.After, true, true
	j.attempts = max(j.attempts, claim.Attempts+1)
	j.story.tell("interrupted before")
	const cause = "the bridge that carried the command out stopped before it recorded what came of it"
	if kept, found := j.shift.recall(claim); found {
		return j.resume(kept)
	}
	j.note(0, subjects.ReasonOutcomeUnknown, cause)
	return j.doubt(cause)
}

// doubt decides what to do about a call that may have been carried out.
func (j *job) doubt(cause string) state {
	j.searching, j.looks, j.earlier = time.Time{}, 0, -1
	switch j.kind {
	case subjects.ConversationHandoff, subjects.ConversationFinish:
		if j.foreign {
			return j.outlast()
		}
		return j.release(0) // it may be repeated
	case subjects.MessageSend, subjects.ConversationStart:
		j.unrecorded = false // the claim tells it, and whoever finds it searches as this job does
		j.story.tell("search for the echo")
		return j.search(cause)
	}
	return j.park(cause)
}

// outlast waits until a call that the former holder may still be making has ended, and repeats it then. A late one after the repeat, and after
// what comes next in the conversation, would undo that.
func (j *job) outlast() state {
	waited := false
	return func(context.Context) (time.Duration, state) {
		if late := j.shift.cfg.late(); !waited && late > 0 {
			waited = true
			return late, nil
		}
		return 0, j.release(0)
	}
}

// search looks for the event that shows that the call was carried out, until echo_wait has passed. That time begins with the first look that
// succeeded: before, nobody could have seen an echo.
func (j *job) search(cause string) state {
	return func(ctx context.Context) (time.Duration, state) {
		now := time.Now()
		echo, err := j.echo(ctx)
		if errors.Is(err, ledger.ErrNotFound) { // the claim is gone
			return 0, j.lookUp
		}
		if err != nil {
			return j.fault(err)
		}
		if echo != nil {
			return 0, j.settledBy(echo)
		}
		if j.searching.IsZero() {
			j.searching = now
		}
		left := j.shift.cfg.patience(j.foreign) - now.Sub(j.searching)
		if left <= 0 {
			return 0, j.park(cause)
		}
		j.looks++
		return max(min(left, min(firstLook<<min(j.looks-1, 4), lastLook)), time.Millisecond), nil
	}
}

// settledBy ends the command as done.
func (j *job) settledBy(echo *sighting) state {
	j.shift.metrics.doubts[doubtEcho].Inc()
	j.story.tell("echo found")
	if j.kind == subjects.ConversationStart {
		j.conversation = echo.conversation
		if j.contact.IsZero() {
			j.contact = echo.contactID
		}
	} else {
		j.message = echo.message
	}
	return j.conclude(verdict{status: subjects.StatusDone, detail: "the answer was lost; the event of the platform shows that it was carried out"})
}

// park gives up to find out whether the call was carried out, or carries the command out again, as the configuration says.
func (j *job) park(cause string) state {
	waited := time.Duration(0)
	if !j.searching.IsZero() {
		waited = time.Since(j.searching)
	}
	j.spent += waited
	if j.shift.cfg.OnUnknown == Resend && j.spent <= j.shift.cfg.RetryFor {
		pause := j.pauses().NextBackOff()
		j.spent += pause
		j.shift.metrics.doubts[doubtResent].Inc()
		j.story.again(subjects.ReasonOutcomeUnknown, j.attempts, pause)
		return j.release(pause)
	}
	j.shift.metrics.doubts[doubtParked].Inc()
	j.story.tell("no echo")
	detail := "it may have been carried out, and no event tells of such a call: " + cause
	if !j.searching.IsZero() {
		detail = fmt.Sprintf("it may have been carried out, and no event showed it within %s: %s", j.shift.cfg.patience(j.foreign), cause)
	}
	return j.conclude(verdict{subjects.StatusUnknown, subjects.ReasonOutcomeUnknown, detail})
}

// echo returns the event that belongs to the call, if there is one.
func (j *job) echo(ctx context.Context) (*sighting, error) {
	at, err := j.shift.ledger.ClaimedAt(ctx, j.claim)
	if err != nil {
		return nil, err
	}
	j.claim.At = at
	if j.earlier < 0 { // they have all ended before this command began
		if j.earlier, err = j.unmatched(ctx, at.Add(-lookBack)); err != nil {
			j.earlier = -1
			return nil, err
		}
	}
	since := at.Add(-clockMargin)
	from := since
	if j.earlier > 0 {
		from = at.Add(-lookBack)
	}
	candidates, err := j.candidates(ctx, from, at.Add(-lookBack))
	if err != nil {
		return nil, err
	}
	return pick(candidates, j.earlier, since), nil
}

// pick leaves as many events to earlier commands as may have caused one, the first ones, and takes the first of the rest that is not from
// before the claim. It gives the same answer each time, also after a crash.
func pick(candidates []sighting, earlier int, since time.Time) *sighting {
	for _, e := range candidates[min(earlier, len(candidates)):] {
		if !e.at.Before(since) {
			return &e
		}
	}
	return nil
}

// candidates are the events that the call may have caused and no other command is known to have, in the order in which they were stored.
func (j *job) candidates(ctx context.Context, from, outcomes time.Time) ([]sighting, error) {
	if j.kind == subjects.ConversationStart {
		return j.conversations(ctx, from, outcomes)
	}
	events, err := j.shift.sightings.of(ctx, j.conversation.String(), from)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"": true}
	alike := slices.DeleteFunc(events, func(e sighting) bool {
		id := e.message.String()
		other := seen[id] || e.private || e.messageType != j.command.Message.MessageType || e.fingerprint != j.fingerprint()
		seen[id] = true
		return other
	})
	if len(alike) == 0 {
		return nil, nil
	}
	made, err := j.shift.ledger.MadeByAnother(ctx, outcomes, j.id)
	if err != nil || !made.Complete() { // each of them may be of a command whose outcome cannot be read
		return nil, err
	}
	return slices.DeleteFunc(alike, func(e sighting) bool { return made.Made(e.message.String()) }), nil
}

// conversations are the candidates of a conversation.start.
func (j *job) conversations(ctx context.Context, from, outcomes time.Time) ([]sighting, error) {
	events, err := j.shift.sightings.createdSince(ctx, from)
	if err != nil {
		return nil, err
	}
	results, err := j.shift.former.startedSince(ctx, outcomes)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"": true}
	for _, r := range results {
		if r.CommandID != j.id {
			seen[r.ConversationID.String()] = true
		}
	}
	var found []sighting
	for _, e := range events {
		ours := !j.contact.IsZero() && e.contactID.String() == j.contact.String() || strings.EqualFold(e.sourceID, j.sourceID())
		if id := e.conversation.String(); ours && !seen[id] && e.inbox == j.command.Start.InboxID.String() {
			seen[id] = true
			found = append(found, e)
		}
	}
	return found, nil
}

// unmatched is how many calls of earlier commands with the same effect may have been carried out without their event being known: each of
// them has a right to an event before this command has.
func (j *job) unmatched(ctx context.Context, since time.Time) (int, error) {
	results, err := j.formerResults(ctx, since)
	if err != nil {
		return 0, err
	}
	sum := 0
	for _, r := range results {
		if !doubtful(r) || r.CommandID == j.id || r.Command != j.kind {
			continue
		}
		record, err := j.shift.ledger.Find(ctx, r.CommandID)
		if errors.Is(err, ledger.ErrUnreadable) {
			sum += max(r.Attempts, 1)
			continue
		}
		if err != nil {
			return 0, err
		}
		if o := record.Outcome; o != nil && o.Key == j.key && o.Fingerprint == j.fingerprint() {
			sum += j.loose(*o)
		}
	}
	return sum, nil
}

func (j *job) formerResults(ctx context.Context, since time.Time) ([]subjects.Result, error) {
	if j.kind == subjects.ConversationStart {
		return j.shift.former.startedSince(ctx, since)
	}
	return j.shift.former.of(ctx, j.conversation.String(), since)
}

// loose is how many calls of a command may have been carried out beyond the one whose effect is known.
func (j *job) loose(o ledger.Outcome) int {
	calls := 0
	for _, a := range o.History {
		if (a.Reason == subjects.ReasonNone || a.Reason == subjects.ReasonOutcomeUnknown) && !strings.HasPrefix(a.Detail, ofContact) {
			calls++
		}
	}
	if thing(j.kind, o.Result) != "" {
		calls--
	}
	return max(calls, 0)
}
