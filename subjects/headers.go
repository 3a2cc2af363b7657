package subjects

import "strings"

// Headers of messages. Those that begin with "Nats-" belong to NATS, those with "ce-" to CloudEvents 1.0 in binary mode, those with "Cx-"
// to the bridge.
const (
	HeaderMsgID = "Nats-Msg-Id" // stable id of an event, a result or a dead letter; on a command the command id, set by the bot

	HeaderCESpecVersion = "ce-specversion"
	HeaderCEID          = "ce-id"
	HeaderCESource      = "ce-source"
	HeaderCEType        = "ce-type"
	HeaderCETime        = "ce-time"
	HeaderCESubject     = "ce-subject"
	HeaderContentType   = "content-type"

	HeaderEvent          = "Cx-Event"           // on events: the vendor's name of it, such as message_created
	HeaderTenant         = "Cx-Tenant"          // on events and results: the tenant's domain
	HeaderConversationID = "Cx-Conversation-Id" // on events, as far as the body has it
	HeaderInboxID        = "Cx-Inbox-Id"        // on events, as far as the body has it
	HeaderMessageID      = "Cx-Message-Id"      // on message events
	HeaderMessageType    = "Cx-Message-Type"    // on message events: incoming, outgoing or template
	HeaderPrivate        = "Cx-Private"         // on message events: true or false
	HeaderOrigin         = "Cx-Origin"          // on message events: who wrote it, an [Origin]
	HeaderEchoOf         = "Cx-Echo-Of"         // on message events: the id of the command that caused it, when known
	HeaderLoop           = "Cx-Loop"            // on message events: true while the loop guard has tripped
	HeaderReceivedAt     = "Cx-Received-At"     // on events: when the bridge took the webhook, RFC 3339

	HeaderReplyTo   = "Cx-Reply-To"   // on commands: a plain subject on which the result is published, too
	HeaderExpiresAt = "Cx-Expires-At" // on commands: RFC 3339 time after which the command must not be carried out
	HeaderOnlyIf    = "Cx-Only-If"    // on commands: preconditions, comma separated
	HeaderReplayOf  = "Cx-Replay-Of"  // on commands that repeat a dead letter: the id of the original

	HeaderCommandID       = "Cx-Command-Id"       // on results and dead letters
	HeaderStatus          = "Cx-Status"           // on results and dead letters: a [Status]
	HeaderReason          = "Cx-Reason"           // on dead letters: a [Reason]
	HeaderDetail          = "Cx-Detail"           // on dead letters: the reason in one line
	HeaderAttempts        = "Cx-Attempts"         // on dead letters: how many calls were made
	HeaderHistory         = "Cx-History"          // on dead letters: each attempt, a JSON array of [Attempt]
	HeaderOriginalSubject = "Cx-Original-Subject" // on dead letters
	HeaderFailedAt        = "Cx-Failed-At"        // on dead letters: RFC 3339

	HeaderTimeout = "Cx-Timeout" // on requests to the micro service: how long to wait for the answer, such as 10s

	HeaderTraceparent = "traceparent" // W3C trace context
	HeaderTracestate  = "tracestate"

	HeaderSchedule       = "Nats-Schedule"        // on delayed commands: when, such as "@at 2026-11-22T10:00:00Z"
	HeaderScheduleTarget = "Nats-Schedule-Target" // on delayed commands: the command's subject
)

// Preconditions of the header [HeaderOnlyIf].
const (
	OnlyIfStillWithBot    = "still-with-bot"            // no human agent wrote or was assigned, and no handoff was done, since the command was published
	OnlyIfNoNewerCustomer = "no-newer-customer-message" // the customer wrote nothing since the command was published
)

// OwnedByNATS reports whether a header has a meaning to the NATS server. Such a header of a received message is never copied to another
// message, because it would change how that one is stored.
func OwnedByNATS(header string) bool {
	return len(header) >= 5 && strings.EqualFold(header[:5], "nats-") || strings.EqualFold(header, "KV-Operation")
}
