package subjects

// Carrier is a class of messages that have the same headers.
type Carrier string

// The carriers.
const (
	OnEvents        Carrier = "event"         // events that are not about one message
	OnMessageEvents Carrier = "message event" // events about one message: message_created and its like
	OnCommands      Carrier = "command"
	OnSchedules     Carrier = "schedule" // delayed commands
	OnResults       Carrier = "result"
	OnReplies       Carrier = "reply"        // results on the subject of Cx-Reply-To
	OnDeadCommands  Carrier = "dead command" // beside the headers of the original
	OnDeadWebhooks  Carrier = "dead webhook"
	OnRequests      Carrier = "request" // to the micro service
	OnAnswers       Carrier = "answer"  // of the micro service: a result as the body
	OnErrors        Carrier = "error"   // of the micro service, instead of a result
)

// Carriers returns all carriers.
func Carriers() []Carrier {
	return []Carrier{
		OnEvents, OnMessageEvents, OnCommands, OnSchedules, OnResults, OnReplies, OnDeadCommands, OnDeadWebhooks, OnRequests, OnAnswers, OnErrors,
	}
}

// HeaderForm is the form of a header's value.
type HeaderForm string

// The forms of headers.
const (
	HeaderText   HeaderForm = "text"
	HeaderTime   HeaderForm = "time"   // RFC 3339
	HeaderBool   HeaderForm = "bool"   // true or false
	HeaderNumber HeaderForm = "number" // decimal digits
	HeaderJSON   HeaderForm = "json"   // a JSON array of [Attempt]
)

// Header describes a header.
type Header struct {
	Name    string
	Form    HeaderForm
	Values  []string // that it may have; empty for any
	Always  bool     // on every message of its carriers
	On      []Carrier
	Meaning string // one sentence
}

// Headers of answers of the micro service, as NATS micro services have them.
const (
	HeaderServiceError     = "Nats-Service-Error"      // what is wrong, in one line
	HeaderServiceErrorCode = "Nats-Service-Error-Code" // 400, 401, 403, 404, 413, 429, 500, 503 or 504
)

// HeaderTable returns all headers: what each means, and where it stands.
func HeaderTable() []Header {
	var all []Header
	for _, part := range [][]Header{idHeaders(), cloudEventHeaders(), eventHeaders(), commandHeaders(), outcomeHeaders(), traceHeaders()} {
		all = append(all, part...)
	}
	return all
}

// HeadersOn returns the headers that messages of a carrier have.
func HeadersOn(c Carrier) []Header {
	var on []Header
	for _, h := range HeaderTable() {
		for _, carrier := range h.On {
			if carrier == c {
				on = append(on, h)
			}
		}
	}
	return on
}

var (
	onBothEvents = []Carrier{OnEvents, OnMessageEvents}
	onCloud      = []Carrier{OnEvents, OnMessageEvents, OnResults, OnReplies}
	onOutcomes   = []Carrier{OnResults, OnReplies, OnDeadCommands, OnAnswers}
	onOrders     = []Carrier{OnCommands, OnSchedules, OnRequests}
	onDead       = []Carrier{OnDeadCommands, OnDeadWebhooks}
)

func idHeaders() []Header {
	return []Header{
		{
			Name: HeaderMsgID, Form: HeaderText, Always: true, On: []Carrier{OnEvents, OnMessageEvents, OnResults, OnReplies, OnDeadCommands, OnDeadWebhooks},
			Meaning: "A stable id: a repeat of the message has the same one, and is stored once.",
		},
		{
			Name: HeaderMsgID, Form: HeaderText, On: onOrders,
			Meaning: "The command id, of the sender's choice. Publishing a command again with the same id never does the thing twice. Without it ce-id counts, else an id is made.",
		},
	}
}

func cloudEventHeaders() []Header {
	return []Header{
		{Name: HeaderCESpecVersion, Form: HeaderText, Values: []string{CESpecVersion}, Always: true, On: onCloud, Meaning: "The version of CloudEvents."},
		{Name: HeaderCEID, Form: HeaderText, Always: true, On: onCloud, Meaning: "The id; on events that of Nats-Msg-Id."},
		{Name: HeaderCEID, Form: HeaderText, On: onOrders, Meaning: "The command id if there is no Nats-Msg-Id."},
		{Name: HeaderCESource, Form: HeaderText, Always: true, On: onCloud, Meaning: "Two slashes and the tenant's domain."},
		{Name: HeaderCEType, Form: HeaderText, Always: true, On: onCloud, Meaning: "com.sangoma.cx. and the event's name, or cx.result. and the command's."},
		{Name: HeaderCETime, Form: HeaderTime, Always: true, On: onCloud, Meaning: "When the bridge took the event, or when the command ended."},
		{Name: HeaderCESubject, Form: HeaderText, On: onCloud, Meaning: "What it is about: the conversation, percent-encoded."},
		{Name: HeaderContentType, Form: HeaderText, Values: []string{ContentTypeJSON}, Always: true, On: onCloud, Meaning: "The type of the body."},
		{Name: HeaderContentType, Form: HeaderText, On: []Carrier{OnDeadWebhooks}, Meaning: "The type of the body as the sender told it; percent-encoded if that is not plain ASCII."},
	}
}

func eventHeaders() []Header {
	message := []Carrier{OnMessageEvents}
	return []Header{
		{Name: HeaderEvent, Form: HeaderText, Always: true, On: onBothEvents, Meaning: "The vendor's name of the event, percent-encoded."},
		{Name: HeaderTenant, Form: HeaderText, Always: true, On: []Carrier{OnEvents, OnMessageEvents, OnResults, OnReplies, OnDeadWebhooks}, Meaning: "The tenant's domain."},
		{Name: HeaderConversationID, Form: HeaderText, On: onBothEvents, Meaning: "The conversation, if the body tells it, percent-encoded."},
		{Name: HeaderInboxID, Form: HeaderText, On: onBothEvents, Meaning: "The inbox, if the body tells it, percent-encoded."},
		{Name: HeaderMessageID, Form: HeaderText, On: message, Meaning: "The message, percent-encoded."},
		{Name: HeaderMessageType, Form: HeaderText, On: message, Meaning: "The direction: incoming, outgoing, template, or another word of the vendor's."},
		{Name: HeaderPrivate, Form: HeaderBool, Values: []string{"true", "false"}, On: message, Meaning: "Whether the message is a note among agents."},
		{Name: HeaderOrigin, Form: HeaderText, Values: words(Origins()), Always: true, On: message, Meaning: "Who wrote the message."},
		{Name: HeaderEchoOf, Form: HeaderText, On: message, Meaning: "The id of the command that caused the message, when known, percent-encoded."},
		{Name: HeaderLoop, Form: HeaderBool, Values: []string{"true"}, On: message, Meaning: "Bots talk to each other in this conversation: do not answer."},
		{Name: HeaderReceivedAt, Form: HeaderTime, Always: true, On: []Carrier{OnEvents, OnMessageEvents, OnDeadWebhooks}, Meaning: "When the bridge took the webhook."},
	}
}

func commandHeaders() []Header {
	schedule := []Carrier{OnSchedules}
	return []Header{
		{Name: HeaderReplyTo, Form: HeaderText, On: onOrders, Meaning: "A plain subject, below one of the configured prefixes, on which the result is published, too."},
		{Name: HeaderExpiresAt, Form: HeaderTime, On: onOrders, Meaning: "After this time the command is not carried out."},
		{
			Name: HeaderOnlyIf, Form: HeaderText, On: onOrders,
			Meaning: "Preconditions, comma separated, of a command about a conversation that exists: " + OnlyIfStillWithBot + ", " + OnlyIfNoNewerCustomer + ". One that does not hold ends the command as expired.",
		},
		{Name: HeaderReplayOf, Form: HeaderText, On: onOrders, Meaning: "The id of the command that this one repeats, set by a replay of a dead letter."},
		{Name: HeaderSchedule, Form: HeaderText, Always: true, On: schedule, Meaning: "When the server publishes the command, such as \"@at 2026-11-22T10:00:00Z\"."},
		{Name: HeaderScheduleTarget, Form: HeaderText, Always: true, On: schedule, Meaning: "The subject of the command."},
		{Name: HeaderTimeout, Form: HeaderText, On: []Carrier{OnRequests}, Meaning: "How long to wait for the answer, such as 10s."},
	}
}

func outcomeHeaders() []Header {
	dead, failed := []Carrier{OnDeadCommands}, []Carrier{OnErrors}
	return []Header{
		{Name: HeaderCommandID, Form: HeaderText, Always: true, On: onOutcomes, Meaning: "The command."},
		{Name: HeaderCommandID, Form: HeaderText, On: failed, Meaning: "The command that the request was made into, if it was."},
		{Name: HeaderStatus, Form: HeaderText, Values: words(Statuses()), Always: true, On: []Carrier{OnResults, OnReplies}, Meaning: "How the command ended."},
		{Name: HeaderStatus, Form: HeaderText, Values: deadStatuses(), Always: true, On: dead, Meaning: "How the command ended."},
		{Name: HeaderReason, Form: HeaderText, Values: words(Reasons()), Always: true, On: onDead, Meaning: "Why, in one word."},
		{Name: HeaderDetail, Form: HeaderText, On: onDead, Meaning: "Why, in one line."},
		{Name: HeaderAttempts, Form: HeaderNumber, Always: true, On: dead, Meaning: "How many calls were made at the API."},
		{Name: HeaderHistory, Form: HeaderJSON, Always: true, On: dead, Meaning: "Each attempt, a JSON array."},
		{Name: HeaderOriginalSubject, Form: HeaderText, On: dead, Meaning: "The subject of the command."},
		{Name: HeaderFailedAt, Form: HeaderTime, Always: true, On: onDead, Meaning: "When it ended."},
		{Name: HeaderServiceError, Form: HeaderText, Always: true, On: failed, Meaning: "What is wrong, in one line; after a time-out, where the command stands."},
		{
			Name: HeaderServiceErrorCode, Form: HeaderNumber, Values: []string{"400", "401", "403", "404", "413", "429", "500", "503", "504"}, Always: true, On: failed,
			Meaning: "400: the request is wrong; 429: too many wait; 503: not known to be stored, ask again with the same Nats-Msg-Id; 504: stored, and will still be carried out. " +
				"Of queries: 404: there is no such thing; 413: the answer is too large for a message; 503: it failed; 504: its time is over. " +
				"Of queries that ask the API of CX, if it refused: 401, 403, 404 and 429 as it did.",
		},
	}
}

func traceHeaders() []Header {
	on := []Carrier{OnEvents, OnMessageEvents, OnCommands, OnSchedules, OnResults, OnReplies, OnDeadCommands, OnDeadWebhooks, OnRequests}
	return []Header{
		{Name: HeaderTraceparent, Form: HeaderText, On: on, Meaning: "W3C trace context."},
		{Name: HeaderTracestate, Form: HeaderText, On: on, Meaning: "W3C trace context."},
	}
}

func words[T ~string](all []T) []string {
	var texts []string
	for _, v := range all {
		texts = append(texts, string(v))
	}
	return texts
}

func deadStatuses() []string {
	var dead []string
	for _, s := range Statuses() {
		if s.DeadLetter() {
			dead = append(dead, string(s))
		}
	}
	return dead
}
