package webhook

import (
	"net/http"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// eventType is what the CloudEvents type of an event begins with; its name follows.
const eventType = "com.sangoma.cx."

// maxHeaderValue is the length in bytes at which a header's value that comes from a body is cut.
const maxHeaderValue = 512

// letter is a message that is being written. All values of its headers share one array. It is used for one message after the other, as making
// the map of its headers is most of the work.
type letter struct {
	msg    nats.Msg
	values []string
	by     subjects.Origin // of a message event
}

// letter returns one without headers.
func (r *Receiver) letter(subject string, body []byte) *letter {
	l, ok := r.letters.Get().(*letter)
	if !ok {
		const most = 24
		l = &letter{values: make([]string, 0, most)}
		l.msg.Header = make(nats.Header, most)
	}
	l.msg.Subject, l.msg.Data = subject, body
	return l
}

// reuse takes back a letter of which nobody holds anything.
func (r *Receiver) reuse(l *letter) {
	clear(l.msg.Header)
	clear(l.values)
	l.msg, l.values, l.by = nats.Msg{Header: l.msg.Header}, l.values[:0], ""
	r.letters.Put(l)
}

// add sets a header unless the value is empty.
func (l *letter) add(name, value string) {
	if value == "" {
		return
	}
	n := len(l.values)
	l.values = append(l.values, value)
	l.msg.Header[name] = l.values[n : n+1 : n+1]
}

// foreign sets a header to a value that others chose.
func (l *letter) foreign(name, value string) { l.add(name, encode(value)) }

// message returns the message for an event: the body unchanged, and everything that is known of it as headers.
func (r *Receiver) message(e *event, body []byte, now time.Time, in http.Header) *letter {
	id := r.eventID(e, body)
	l := r.letter(r.subject(e), body)
	l.add(subjects.HeaderMsgID, id)
	l.add(subjects.HeaderCESpecVersion, subjects.CESpecVersion)
	l.add(subjects.HeaderCEID, id)
	l.add(subjects.HeaderCESource, r.source)
	name := encode(e.name)
	l.add(subjects.HeaderCEType, eventType+name)
	received := subjects.Time{Time: now}.String()
	l.add(subjects.HeaderCETime, received)
	if e.conversationID != "" {
		l.foreign(subjects.HeaderCESubject, "conversation/"+e.conversationID)
	}
	l.add(subjects.HeaderContentType, subjects.ContentTypeJSON)
	l.add(subjects.HeaderEvent, name)
	l.add(subjects.HeaderTenant, r.tenant)
	l.add(subjects.HeaderReceivedAt, received)
	l.foreign(subjects.HeaderConversationID, e.conversationID)
	l.foreign(subjects.HeaderInboxID, e.inboxID)
	r.messageHeaders(l, e, now)
	carryTrace(l, in)
	return l
}

func (r *Receiver) messageHeaders(l *letter, e *event, now time.Time) {
	if !e.isMessage() {
		return
	}
	l.foreign(subjects.HeaderMessageID, e.messageID)
	l.foreign(subjects.HeaderMessageType, e.messageType)
	l.add(subjects.HeaderPrivate, e.private)
	echo := r.echoOf(e)
	l.foreign(subjects.HeaderEchoOf, echo)
	l.by = origin(e, echo != "")
	l.add(subjects.HeaderOrigin, string(l.by))
	if echo != "" {
		r.metrics.echoes.Inc()
	}
	if r.loops.observe(e, l.by, now) {
		l.add(subjects.HeaderLoop, "true")
		r.metrics.loops.Inc()
	}
}

func (r *Receiver) subject(e *event) string {
	if r.keyed {
		return r.names.KeyedEvent(e.name, e.inboxID, e.conversationID)
	}
	if s, ok := r.known[e.name]; ok {
		return s
	}
	return r.names.Event(e.name)
}

// deadLetter returns the message in which a malformed body is kept.
func (r *Receiver) deadLetter(body []byte, why error, now time.Time, in http.Header) *letter {
	l := r.letter(r.names.DeadWebhook(), body)
	l.add(subjects.HeaderMsgID, "dead-"+subjects.EventID(r.tenant, "malformed", bodyHash(body)))
	if kind := in.Get("Content-Type"); len(kind) <= maxHeaderValue && printable(kind) {
		l.add(subjects.HeaderContentType, kind)
	} else {
		l.foreign(subjects.HeaderContentType, kind)
	}
	l.add(subjects.HeaderTenant, r.tenant)
	l.add(subjects.HeaderReason, string(subjects.ReasonMalformed))
	l.add(subjects.HeaderDetail, why.Error())
	at := subjects.Time{Time: now}.String()
	l.add(subjects.HeaderReceivedAt, at)
	l.add(subjects.HeaderFailedAt, at)
	carryTrace(l, in)
	return l
}

// carryTrace passes the W3C trace context of the request on.
func carryTrace(l *letter, in http.Header) {
	parent := first(in["Traceparent"])
	if len(parent) < 55 || len(parent) > 128 || !printable(parent) {
		return
	}
	l.add(subjects.HeaderTraceparent, parent)
	if state := strings.Join(in["Tracestate"], ","); len(state) <= maxHeaderValue && printable(state) {
		l.add(subjects.HeaderTracestate, state)
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// encode makes any text fit for a header, as the CloudEvents binding for NATS says: white space, control characters, '"', '%' and
// everything outside ASCII are percent-encoded, byte by byte. A very long text is cut.
func encode(s string) string {
	s = s[:min(len(s), maxHeaderValue)]
	clean := true
	for i := range len(s) {
		clean = clean && !mustEncode(s[i])
	}
	if clean {
		return s
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; mustEncode(c) {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// mustEncode reports whether a byte has to be encoded.
func mustEncode(c byte) bool { return c <= ' ' || c >= 0x7f || c == '"' || c == '%' }

// size returns the length in bytes of a message as the bus counts it against its largest payload.
func size(m *nats.Msg) int64 {
	n := len("NATS/1.0\r\n\r\n") + len(m.Data)
	for name, values := range m.Header {
		for _, v := range values {
			n += len(name) + len(": \r\n") + len(v)
		}
	}
	return int64(n)
}
