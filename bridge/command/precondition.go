package command

import (
	"context"
	"slices"

	"github.com/cxbridge/cxbridge/subjects"
)

// precondition tells why a command must not be carried out any more, decided from what was stored since it was published; empty if it may.
func (j *job) precondition(ctx context.Context) (why string, err error) {
	if len(j.onlyIf) == 0 {
		return "", nil
	}
	conversation := j.command.ConversationID().String()
	if slices.Contains(j.onlyIf, subjects.OnlyIfStillWithBot) {
		done, err := j.shift.former.of(ctx, conversation, j.published())
		if err != nil {
			return "", err
		}
		if slices.ContainsFunc(done, func(r subjects.Result) bool {
			return r.Command == subjects.ConversationHandoff && r.Status == subjects.StatusDone && r.FinishedAt.After(j.published())
		}) {
			return subjects.OnlyIfStillWithBot + ": the conversation was handed to an agent", nil
		}
	}
	events, err := j.shift.sightings.of(ctx, conversation, j.published())
	if err != nil {
		return "", err
	}
	for _, e := range events {
		why := j.broken(e)
		if why == "" {
			continue
		}
		ours, err := j.ours(ctx, e)
		if err != nil {
			return "", err
		}
		if !ours {
			return why, nil
		}
	}
	return "", nil
}

// ours reports whether a message that seems to be an agent's is one of the bridge's own, as it is with the token of a user.
func (j *job) ours(ctx context.Context, e sighting) (bool, error) {
	if e.message.IsZero() || e.origin != subjects.OriginAgent {
		return false, nil
	}
	made, err := j.shift.ledger.MadeByAnother(ctx, j.published().Add(-lookBack), j.id)
	if err != nil {
		return false, err
	}
	return made.Made(e.message.String()), nil
}

// broken tells which precondition an event breaks. An event that was stored with the command's own time was before it.
func (j *job) broken(e sighting) string {
	if !e.at.After(j.published()) {
		return ""
	}
	for _, condition := range j.onlyIf {
		switch {
		case condition == subjects.OnlyIfStillWithBot && e.human != "":
			return condition + ": " + e.human
		case condition == subjects.OnlyIfNoNewerCustomer && !e.message.IsZero() && !e.private && e.origin == subjects.OriginCustomer:
			return condition + ": the customer wrote again"
		}
	}
	return ""
}
