package cxapi

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// Outcome says what a failed call means for whoever wants to repeat it.
type Outcome uint8

const (
	// OutcomeUnknown means that the call may have been carried out. Repeating it may do the thing twice. It is the zero
	// value, so that a forgotten decision is the careful one.
	OutcomeUnknown Outcome = iota
	// OutcomeLater means that the call was not carried out, or that carrying it out twice does no harm, and that it may
	// work later.
	OutcomeLater
	// OutcomeNever means that the call was not carried out and will not be, however often it is repeated.
	OutcomeNever
)

// String returns "unknown", "later" or "never".
func (o Outcome) String() string {
	switch o {
	case OutcomeLater:
		return "later"
	case OutcomeNever:
		return "never"
	default:
		return "unknown"
	}
}

// Kind is the cause of a failure in one word out of a closed list.
type Kind string

// The causes of failures.
const (
	// KindMalformed is a call that lacks something it needs; it was not sent.
	KindMalformed Kind = "malformed"
	// KindUnauthorized is a token that is missing, refused after being renewed, or cannot be had.
	KindUnauthorized Kind = "unauthorized"
	// KindForbidden is a status of 403: the token lacks a scope.
	KindForbidden Kind = "forbidden"
	// KindNotFound is a status of 404 or 410.
	KindNotFound Kind = "not_found"
	// KindRejected is any other refusal by the API.
	KindRejected Kind = "rejected"
	// KindRateLimited is a status of 429, or the limit of messages a minute in one conversation.
	KindRateLimited Kind = "rate_limited"
	// KindUnavailable is a server error, or an answer that the API cannot have given.
	KindUnavailable Kind = "unavailable"
	// KindTimeout is a time-out on this side, or a status of 408 or 504.
	KindTimeout Kind = "timeout"
	// KindConnection is a connection that could not be made or broke.
	KindConnection Kind = "connection"
	// KindCancelled is a context that was cancelled by the caller.
	KindCancelled Kind = "cancelled"
	// KindInternal is a failure of this program, such as a request that cannot be encoded.
	KindInternal Kind = "internal"
)

// MaxErrorAnswer bounds [Error.Answer], in bytes.
const MaxErrorAnswer = 128 << 10

// Error is the failure of one API call. Its text has no token, no header and nothing of the request's body.
type Error struct {
	// Op is the call as the vendor writes it, such as "POST messages/".
	Op string
	// Status is the HTTP status of the answer; 0 if there was none.
	Status int
	// Kind is the cause in one word.
	Kind Kind
	// Outcome says whether the call may be repeated.
	Outcome Outcome
	// Ambiguous is set if the call may have been carried out although Outcome is not unknown, which is so for calls that
	// may be repeated freely. A caller that gives up cannot say that such a call was not carried out.
	Ambiguous bool
	// RetryAfter is how long the server asked to wait; 0 if it did not ask. It is at most [MaxRetryAfter].
	RetryAfter time.Duration
	// Code is the machine-readable code in the answer, such as "invalid_client"; mostly empty.
	Code string
	// Body is the message in the answer, cut, in one line, and cleaned of secrets and of what the request contained.
	Body string
	// Answer is the whole body of the answer as it came, for who made the call: it may hold what the request contained, and stands in no text of the
	// error. It is nil if there was none, or if it was not JSON, longer than [MaxErrorAnswer], not read to its end, or if it held the token.
	Answer json.RawMessage
	// Err is the cause below HTTP, nil if the server answered.
	Err error

	// seen in the message before it was cleaned
	tooMany, already bool
}

// Error returns the operation, the status, the cause and the cleaned message.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteString(": ")
	if e.Status != 0 {
		b.WriteString(strconv.Itoa(e.Status))
		b.WriteByte(' ')
	}
	b.WriteString(string(e.Kind))
	if e.Code != "" {
		b.WriteString(": " + e.Code)
	}
	if e.Body != "" {
		b.WriteString(": " + e.Body)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause below HTTP.
func (e *Error) Unwrap() error { return e.Err }

// Timeout reports whether time ran out, here or at the server.
func (e *Error) Timeout() bool { return e.Kind == KindTimeout }

// TooManyMessages reports whether the call met the limit of messages a minute in one conversation. The platform answers
// 422, not 429; the limit is of the conversation, not of the tenant, and ends within a minute.
func (e *Error) TooManyMessages() bool {
	return e.Status == 422 && (e.tooMany || containsFold(e.Body, tooManyText))
}

// AlreadyDone reports whether the call was refused because things are already as it wanted them, such as a
// conversation that is finished or a webhook whose address is taken.
func (e *Error) AlreadyDone() bool {
	return (e.Status == 400 || e.Status == 409 || e.Status == 422) && (e.already || containsFold(e.Body, alreadyText))
}

// What the platform writes into its refusals, in lower case.
const (
	tooManyText = "too many messages"
	alreadyText = "already"
)

func containsFold(text, part string) bool {
	return strings.Contains(strings.ToLower(text), part)
}

// cleanError is a cause whose text was cleaned of secrets; what it wraps is for errors.Is and errors.As.
type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }
