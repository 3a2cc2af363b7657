package subjects

import "strings"

// Kind names what a command does: noun and verb joined by a dot, as in its subject.
type Kind string

// The kinds of commands.
const (
	MessageSend         Kind = "message.send"
	ConversationStart   Kind = "conversation.start"
	ConversationHandoff Kind = "conversation.handoff"
	ConversationFinish  Kind = "conversation.finish"
	ContactCreate       Kind = "contact.create"
)

// Kinds returns all kinds of commands.
func Kinds() []Kind {
	return []Kind{MessageSend, ConversationStart, ConversationHandoff, ConversationFinish, ContactCreate}
}

// Known reports whether the bridge carries out commands of this kind.
func (k Kind) Known() bool {
	switch k {
	case MessageSend, ConversationStart, ConversationHandoff, ConversationFinish, ContactCreate:
		return true
	}
	return false
}

// Repeatable reports whether carrying the command out twice has the effect of carrying it out once, so that a call with an unknown outcome
// may simply be repeated.
func (k Kind) Repeatable() bool { return k == ConversationHandoff || k == ConversationFinish }

// tokens returns the kind as two tokens that are safe in a subject, also for a kind that somebody made up.
func (k Kind) tokens() string {
	noun, verb, ok := strings.Cut(string(k), ".")
	if !ok || !commandToken.MatchString(noun) || !commandToken.MatchString(verb) {
		return "unknown.unknown"
	}
	return noun + "." + verb
}

// Status tells how a command ended.
type Status string

// The statuses of results.
const (
	StatusDone      Status = "done"      // carried out
	StatusInvalid   Status = "invalid"   // malformed; never sent
	StatusRefused   Status = "refused"   // the API said no and will say no again
	StatusExhausted Status = "exhausted" // retried until the budget ran out, certainly not carried out
	StatusExpired   Status = "expired"   // its time passed, or a precondition no longer held, before it was carried out
	StatusUnknown   Status = "unknown"   // the API may or may not have carried it out
)

// Statuses returns all statuses.
func Statuses() []Status {
	return []Status{StatusDone, StatusInvalid, StatusRefused, StatusExhausted, StatusExpired, StatusUnknown}
}

// DeadLetter reports whether a command that ends so is kept as a dead letter.
func (s Status) DeadLetter() bool {
	switch s {
	case StatusInvalid, StatusRefused, StatusExhausted, StatusUnknown:
		return true
	}
	return false
}

// Reason says in one word why a command ended as it did: the same word in results, dead letters, metrics and logs.
type Reason string

// The reasons.
const (
	ReasonNone           Reason = ""
	ReasonMalformed      Reason = "malformed"
	ReasonTenantMismatch Reason = "tenant_mismatch"
	ReasonUnauthorized   Reason = "unauthorized"
	ReasonForbidden      Reason = "forbidden"
	ReasonNotFound       Reason = "not_found"
	ReasonRejected       Reason = "rejected"
	ReasonRateLimited    Reason = "rate_limited"
	ReasonUnavailable    Reason = "unavailable"
	ReasonTimeout        Reason = "timeout"
	ReasonConnection     Reason = "connection"
	ReasonCircuitOpen    Reason = "circuit_open"
	ReasonExpired        Reason = "expired"
	ReasonOutcomeUnknown Reason = "outcome_unknown"
	ReasonCancelled      Reason = "cancelled"
	ReasonInternal       Reason = "internal"
)

// Reasons returns all reasons but the empty one.
func Reasons() []Reason {
	return []Reason{
		ReasonMalformed, ReasonTenantMismatch, ReasonUnauthorized, ReasonForbidden, ReasonNotFound, ReasonRejected, ReasonRateLimited,
		ReasonUnavailable, ReasonTimeout, ReasonConnection, ReasonCircuitOpen, ReasonExpired, ReasonOutcomeUnknown, ReasonCancelled, ReasonInternal,
	}
}

// Origin tells who wrote a message.
type Origin string

// The origins of messages.
const (
	OriginCustomer Origin = "customer"
	OriginAgent    Origin = "agent"
	OriginBot      Origin = "bot"
	OriginSystem   Origin = "system"
	OriginUnknown  Origin = "unknown"
)

// Origins returns all origins.
func Origins() []Origin {
	return []Origin{OriginCustomer, OriginAgent, OriginBot, OriginSystem, OriginUnknown}
}
