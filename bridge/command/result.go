package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

const (
	maxResponse = 128 << 10 // bytes of the API's answer that a result carries
	maxHistory  = 100       // attempts that are told
	maxDetail   = 2 << 10   // bytes of a detail, which may quote what somebody sent
	maxHeader   = 1 << 10   // bytes of a header that somebody else chose; all together may have 64 KiB
)

// verdict is how a command ends.
type verdict struct {
	status subjects.Status
	reason subjects.Reason
	detail string
}

// missed is how a command ends that named a contact of the directory, which the API does not know, and what the API answered.
type missed struct {
	verdict
	response json.RawMessage
}

// outcome is all that the ledger remembers of how a command ended.
func (j *job) outcome(v verdict) *ledger.Outcome {
	r := subjects.Result{
		CommandID: j.id, Command: j.kind, Status: v.status, Reason: v.reason, Detail: cut(v.detail, maxDetail), Tenant: j.shift.tenant,
		ConversationID: j.conversation, MessageID: j.message, ContactID: j.contact, Attempts: j.attempts, HTTPStatus: j.httpStatus,
		ReceivedAt: subjects.Time{Time: j.published()}, FinishedAt: subjects.Time{Time: time.Now()}, Response: j.response,
	}
	return &ledger.Outcome{
		Result: r, Key: j.key, ReplyTo: j.replyTo, DeadLetter: v.status.DeadLetter(), History: j.history,
		MessageID: j.message.String(), Fingerprint: j.fingerprint(), After: j.after,
	}
}

// note adds an attempt to the history; of very many the latest are kept.
func (j *job) note(status int, reason subjects.Reason, detail string) {
	j.history = append(j.history, subjects.Attempt{At: subjects.Time{Time: time.Now()}, HTTPStatus: status, Reason: reason, Detail: detail})
	if len(j.history) > maxHistory {
		j.history = append(j.history[:0], j.history[1:]...)
	}
}

// resultID is the message id of a result. That of a command whose id was used before, for another one, has to differ from that one's.
func (j *job) resultID() string {
	r := j.stands.Result
	if j.clash {
		return "result-" + string(r.Command) + "-" + subjects.Token(r.CommandID)
	}
	return "result-" + subjects.Token(r.CommandID)
}

// envelope is the header of a result. It is used again, as it takes more than a kilobyte.
type envelope struct {
	header nats.Header
	values []string // all of them share one array
}

func newEnvelope() *envelope {
	const most = 16
	return &envelope{make(nats.Header, most), make([]string, 0, most)}
}

// resultMessage makes the message for a subject, in an envelope; the trace of the command goes on in it.
func (j *job) resultMessage(subject string, e *envelope) (*nats.Msg, error) {
	body, err := j.stands.ResultJSON()
	if err != nil {
		return nil, err
	}
	r, original := j.stands.Result, j.parcel.Header()
	clear(e.header)
	h, values := e.header, e.values[:0]
	for _, each := range [...]struct{ name, value string }{
		{subjects.HeaderMsgID, j.resultID()},
		{subjects.HeaderCESpecVersion, subjects.CESpecVersion},
		{subjects.HeaderCEID, j.resultID()},
		{subjects.HeaderCESource, subjects.CESource(r.Tenant)},
		{subjects.HeaderCEType, "cx.result." + string(r.Command)},
		{subjects.HeaderCETime, r.FinishedAt.String()},
		{subjects.HeaderCESubject, ceValue(r.ConversationID.String())},
		{subjects.HeaderContentType, subjects.ContentTypeJSON},
		{subjects.HeaderTenant, r.Tenant},
		{subjects.HeaderCommandID, headerID(r.CommandID)},
		{subjects.HeaderStatus, string(r.Status)},
		{subjects.HeaderTraceparent, unlessLong(original.Get(subjects.HeaderTraceparent))},
		{subjects.HeaderTracestate, unlessLong(original.Get(subjects.HeaderTracestate))},
	} {
		if each.value != "" {
			n := len(values)
			values = append(values, each.value)
			h[each.name] = values[n : n+1 : n+1]
		}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: body}, nil
}

// cut shortens a text.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// headerID is a command id as it stands in a header; the body has it whole.
func headerID(commandID string) string {
	if len(commandID) > maxHeader {
		return subjects.Token(commandID)
	}
	return commandID
}

func unlessLong(value string) string {
	if len(value) > maxHeader {
		return ""
	}
	return value
}

// ceValue encodes a CloudEvents attribute as the NATS binding asks for it.
func ceValue(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// letter is the dead letter of the outcome that stands.
func (j *job) letter() deadletter.Letter {
	r := j.stands.Result
	return deadletter.Letter{
		Subject: j.shift.names.DeadCommand(r.Command), Original: deadletter.Original{Subject: j.parcel.Subject(), Header: j.parcel.Header().all(), Data: j.parcel.Body()},
		CommandID: r.CommandID, Status: r.Status, Reason: r.Reason, Detail: r.Detail, Attempts: r.Attempts, History: j.stands.History,
		FailedAt: r.FinishedAt.Time, Apart: j.clash,
	}
}
