package command

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// API is what commands are carried out with; [cxapi.Client] is one.
type API interface {
	SendMessage(ctx context.Context, p cxapi.MessageParams) (*cxapi.Message, error)
	CreateConversation(ctx context.Context, p cxapi.ConversationParams) (*cxapi.Conversation, error)
	CreateContact(ctx context.Context, p cxapi.ContactParams) (*cxapi.Contact, error)
	DeliverToAgent(ctx context.Context, conversationID cxapi.ID) (*cxapi.Answer, error)
	Finish(ctx context.Context, conversationID cxapi.ID) (*cxapi.Answer, error)
}

// call makes the API call and decides by the table what comes next.
func (j *job) call(context.Context) (time.Duration, state) {
	if j.calling { // it panicked
		j.shift.gate.leave(&j.permit)
		j.calling, j.ambiguous = false, true
		j.note(0, subjects.ReasonOutcomeUnknown, "the bridge failed during the call")
		return 0, j.doubt("the bridge failed during the call")
	}
	op := j.operation()
	ctx, cancel := context.WithTimeout(j.shift.calls, j.shift.cfg.CallTimeout)
	defer cancel()
	began := time.Now()
	j.attempts++
	j.calling = true
	err := j.invoke(j.story.call(ctx), op)
	took := time.Since(began)
	f, cause := failed(err, j.ambiguous)
	probe := j.shift.gate.made(&j.permit, f, cause.RetryAfter)
	j.record(op, f, cause)
	j.shift.metrics.called(j, op, f, began, took)
	j.calling = false // not earlier: a panic up to here must not lead to a second call
	if probe && f.down() {
		took = 0
	}
	switch actionOf(op, f) {
	case ActDone:
		return 0, j.done(op)
	case ActRetry:
		return 0, j.again(f, cause, took, probe)
	case ActWait:
		return 0, j.standBy(cause)
	case ActRefuse:
		return 0, j.refused(op, f, cause)
	}
	j.ambiguous = true
	return 0, j.doubt(cause.Error())
}

// refused ends the command, unless it is about a contact that may be found, or made anew.
func (j *job) refused(op Operation, f Failure, cause *cxapi.Error) state {
	v := verdict{subjects.StatusRefused, reasonOf(cause), j.refusal(op, f, cause)}
	switch exists := f == FailureAlready || f == FailureAlreadyOurs; {
	case exists && (op == CreateContact || op == CreateItsContact):
		if j.taken = &v; j.missed != nil {
			j.taken, j.httpStatus, j.response = &j.missed.verdict, http.StatusNotFound, j.missed.response
		}
	case op == CreateConversation && f == FailureRefused && cause.Status == http.StatusNotFound && j.fromDirectory:
		j.stale, j.missed, j.contact, j.fromDirectory = j.contact, &missed{v, j.response}, subjects.ID{}, false
	default:
		return j.conclude(v)
	}
	return j.release(0)
}

// record keeps what the attempt came to. A lost answer is told as such, because the number of calls that may have been carried out decides to
// whom an echo belongs; so does which of the two calls of a conversation.start it was.
func (j *job) record(op Operation, f Failure, cause *cxapi.Error) {
	status, reason, detail := j.httpStatus, subjects.ReasonNone, ""
	if f != FailureNone {
		status, reason, detail = cause.Status, reasonOf(cause), cause.Error()
		j.answered(cxapi.Answer{Status: status, Body: cause.Answer})
	}
	if f == FailureLost {
		reason = subjects.ReasonOutcomeUnknown
	}
	if op == CreateItsContact {
		detail = strings.TrimSpace(ofContact + " " + detail)
	}
	j.note(status, reason, detail)
}

// ofContact begins the detail of an attempt that was the call for the contact of a conversation.start.
const ofContact = "contact:"

// operation is the call that comes next.
func (j *job) operation() Operation {
	if j.kind == subjects.ConversationStart && j.contact.IsZero() {
		return CreateItsContact
	}
	return Operation(j.kind)
}

// api is what calls are made with: with the trace of the command, if it has one and the client can carry it. While commands are traced, the
// client's transport sends the context of the call's own span.
func (j *job) api() API {
	client, ok := j.shift.api.(*cxapi.Client)
	if !ok || j.story != nil || j.parcel.Header().Get(subjects.HeaderTraceparent) == "" {
		return j.shift.api
	}
	return client.Traced(j.parcel.Header().Get(subjects.HeaderTraceparent), j.parcel.Header().Get(subjects.HeaderTracestate))
}

func (j *job) invoke(ctx context.Context, op Operation) error {
	api := j.api()
	switch op {
	case PostMessage:
		m, err := api.SendMessage(ctx, cxapi.MessageParams{
			ConversationID: toAPI(j.conversation), Content: j.command.Message.Content, MessageType: j.command.Message.MessageType,
		})
		if err != nil {
			return err
		}
		j.message = fromAPI(m.ID)
		j.answered(m.Answer)
	case CreateConversation:
		c, err := api.CreateConversation(ctx, j.conversationParams())
		if err != nil {
			return err
		}
		j.conversation, j.message = fromAPI(c.ID), fromAPI(c.MessageID)
		j.answered(c.Answer)
	case CreateContact, CreateItsContact:
		c, err := api.CreateContact(ctx, j.contactParams())
		if err != nil {
			return err
		}
		j.contact = fromAPI(c.ID)
		j.answered(c.Answer)
	case DeliverToAgent, FinishConversation:
		act := api.DeliverToAgent
		if op == FinishConversation {
			act = api.Finish
		}
		a, err := act(ctx, toAPI(j.conversation))
		if err != nil {
			return err
		}
		j.answered(*a)
	default:
		return fmt.Errorf("%s: no such operation", op)
	}
	return nil
}

// answered keeps the answer to the latest call, and none before it, as many commands may wait for another attempt.
func (j *job) answered(a cxapi.Answer) {
	if j.httpStatus, j.response = a.Status, a.Body; len(a.Body) > maxResponse {
		j.response = nil
	}
}

// done goes on after a call that was carried out.
func (j *job) done(op Operation) state {
	switch op {
	case CreateContact, CreateItsContact:
		if !j.contact.IsZero() {
			return j.remember(op)
		}
		if op == CreateItsContact {
			return j.conclude(verdict{subjects.StatusRefused, subjects.ReasonRejected, "the API created the contact and did not tell its id"})
		}
	}
	return j.conclude(verdict{status: subjects.StatusDone})
}

// again pauses before the next attempt, unless the budget is used up. Time in which the API asked all to wait, or in which the circuit breaker
// is not closed, costs nothing.
func (j *job) again(f Failure, cause *cxapi.Error, took time.Duration, probe bool) state {
	j.ambiguous = j.ambiguous || f == FailureLost
	pause := j.pauses().NextBackOff()
	if !probe {
		j.spent += took + pause
	}
	if j.spent <= j.shift.cfg.RetryFor {
		j.story.again(reasonOf(cause), j.attempts, pause)
		return j.release(pause)
	}
	return j.conclude(verdict{subjects.StatusExhausted, reasonOf(cause), "given up: " + cause.Error()})
}

// pauses returns the pauses of this command: by chance anything up to a limit that doubles (full jitter).
func (j *job) pauses() *backoff.ExponentialBackOff {
	if j.backoff == nil {
		j.backoff = backoff.NewExponentialBackOff(
			backoff.WithInitialInterval(j.shift.cfg.RetryInitial/2), backoff.WithMaxInterval(j.shift.cfg.RetryMax/2),
			backoff.WithMultiplier(2), backoff.WithRandomizationFactor(1), backoff.WithMaxElapsedTime(0),
		)
	}
	return j.backoff
}

// standBy waits for the conversation's minute to pass.
func (j *job) standBy(cause *cxapi.Error) state {
	if j.waited += conversationPause; j.waited > conversationMost {
		return j.conclude(verdict{subjects.StatusExhausted, reasonOf(cause), "given up: " + cause.Error()})
	}
	j.story.again(reasonOf(cause), j.attempts, conversationPause)
	return j.release(conversationPause)
}

func (j *job) refusal(op Operation, f Failure, cause *cxapi.Error) string {
	if op == CreateItsContact && (f == FailureAlready || f == FailureAlreadyOurs) {
		return "the contact exists already, and the bridge does not know its id; give contact_id and source_id: " + cause.Error()
	}
	return cause.Error()
}
