package command

import (
	"errors"
	"slices"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// Operation is one API call that carries out a command, or a part of it.
type Operation string

// The operations. Each is named after its command; the contact of a conversation.start is an operation of its own.
const (
	PostMessage        Operation = "message.send"
	CreateConversation Operation = "conversation.start"
	CreateItsContact   Operation = "conversation.start (contact)"
	DeliverToAgent     Operation = "conversation.handoff"
	FinishConversation Operation = "conversation.finish"
	CreateContact      Operation = "contact.create"
)

// Operations returns all operations.
func Operations() []Operation {
	return []Operation{PostMessage, CreateConversation, CreateItsContact, DeliverToAgent, FinishConversation, CreateContact}
}

// Failure is how a call went wrong, as far as it matters for what to do next.
type Failure string

// The failures.
const (
	FailureNone        Failure = "none"              // it was carried out
	FailureNotReached  Failure = "not reached"       // refused connection, DNS, TLS: the request was not written
	FailureBusy        Failure = "busy"              // 408, 425, 503
	FailureRateLimited Failure = "rate limited"      // 429
	FailureFull        Failure = "conversation full" // 422 of 200 messages a minute
	FailureLost        Failure = "answer lost"       // time-out, reset or cut after the request was written, 500, 502, 504
	FailureAlready     Failure = "already"           // 400, 409, 422: things are as the call wants them
	FailureAlreadyOurs Failure = "already, repeated" // the same after a call of the same command whose answer was lost
	FailureRefused     Failure = "refused"           // any other status below 500
	FailureOwn         Failure = "own"               // the call could not be made at all, and never can
)

// Failures returns all failures, and success.
func Failures() []Failure {
	return []Failure{
		FailureNone, FailureNotReached, FailureBusy, FailureRateLimited, FailureFull, FailureLost, FailureAlready, FailureAlreadyOurs,
		FailureRefused, FailureOwn,
	}
}

// Action is what the bridge does next.
type Action string

// The actions.
const (
	ActDone    Action = "done"    // the command, or its part, is carried out
	ActRetry   Action = "retry"   // it was not carried out, or may be repeated: again after a pause, within the budget
	ActWait    Action = "wait"    // not now: again after a pause, at no cost of budget; other conversations go on
	ActRefuse  Action = "refuse"  // it was not carried out and will not be
	ActUnknown Action = "unknown" // it may have been carried out: look for the echo
)

// Row is one line of the table: what happens after a failure of an operation.
type Row struct {
	Operation Operation
	Failure   Failure
	Action    Action
}

// FailureTable returns what the bridge does after each failure of each operation. It is the only place where that is decided.
func FailureTable() []Row {
	var rows []Row
	for _, o := range Operations() {
		for _, f := range Failures() {
			rows = append(rows, Row{o, f, actionOf(o, f)})
		}
	}
	return rows
}

// repeatable are the operations that may be repeated after a lost answer: because their effect is that of one call, or, for the contact of
// a conversation, because the API refuses a second contact with the same address.
var repeatable = []Operation{DeliverToAgent, FinishConversation, CreateItsContact}

func actionOf(o Operation, f Failure) Action {
	switch f {
	case FailureNone:
		return ActDone
	case FailureNotReached, FailureBusy, FailureRateLimited:
		return ActRetry
	case FailureFull:
		return ActWait
	case FailureLost:
		if slices.Contains(repeatable, o) {
			return ActRetry
		}
		return ActUnknown
	case FailureAlreadyOurs:
		if o == DeliverToAgent || o == FinishConversation {
			return ActDone
		}
		return ActRefuse
	case FailureAlready, FailureRefused, FailureOwn:
		return ActRefuse
	}
	return ActUnknown
}

// failed tells what kind of failure an error of the API client is. Repeated says that an earlier call of the same command may have been
// carried out.
func failed(err error, repeated bool) (Failure, *cxapi.Error) {
	if err == nil {
		return FailureNone, &cxapi.Error{}
	}
	var e *cxapi.Error
	if !errors.As(err, &e) {
		return FailureLost, &cxapi.Error{Kind: cxapi.KindInternal, Err: err}
	}
	return sortOut(e, repeated), e
}

func sortOut(e *cxapi.Error, repeated bool) Failure {
	switch {
	case e.TooManyMessages():
		return FailureFull
	case e.AlreadyDone() && repeated:
		return FailureAlreadyOurs
	case e.AlreadyDone():
		return FailureAlready
	case e.Outcome == cxapi.OutcomeUnknown || e.Ambiguous:
		return FailureLost
	case e.Outcome == cxapi.OutcomeNever && e.Status == 0 && e.Kind != cxapi.KindUnauthorized:
		return FailureOwn
	case e.Outcome == cxapi.OutcomeNever:
		return FailureRefused
	case e.Kind == cxapi.KindRateLimited:
		return FailureRateLimited
	case e.Status == 0:
		return FailureNotReached
	}
	return FailureBusy
}

// down reports whether a failure says that the API, or the way to it, does not work: what the circuit breaker counts.
func (f Failure) down() bool { return f == FailureNotReached || f == FailureBusy || f == FailureLost }

// reasonOf translates the API client's cause of a failure into the word of the contract. Both lists hold the same words.
func reasonOf(e *cxapi.Error) subjects.Reason {
	if r := subjects.Reason(e.Kind); slices.Contains(subjects.Reasons(), r) {
		return r
	}
	return subjects.ReasonInternal
}
