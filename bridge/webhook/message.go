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

// headers builds the headers of a message. All values share one array.
type headers struct {
	set    nats.Header
	values []string
}

func newHeaders() *headers {
	const most = 24
	return &headers{set: make(nats.Header, most), values: make([]string, 0, most)}
}

// add sets a header unless the value is empty.
func (h *headers) add(name, value string) {
	if value == "" {
		return
	}
	n := len(h.values)
	h.values = append(h.values, value)
	h.set[name] = h.values[n : n+1 : n+1]
}

// foreign sets a header to a value that others chose.
func (h *headers) foreign(name, value string) { h.add(name, encode(value)) }

// message returns the message for an event: the body unchanged, and everything that is known of it as headers.
func (r *Receiver) message(e *event, body []byte, now time.Time, in http.Header) *nats.Msg {
	id := r.eventID(e, body)
	h := newHeaders()
	h.add(subjects.HeaderMsgID, id)
	h.add(subjects.HeaderCESpecVersion, subjects.CESpecVersion)
	h.add(subjects.HeaderCEID, id)
	h.add(subjects.HeaderCESource, r.source)
	name := encode(e.name)
	h.add(subjects.HeaderCEType, eventType+name)
	received := subjects.Time{Time: now}.String()
	h.add(subjects.HeaderCETime, received)
	if e.conversationID != "" {
		h.foreign(subjects.HeaderCESubject, "conversation/"+e.conversationID)
	}
	h.add(subjects.HeaderContentType, subjects.ContentTypeJSON)
	h.add(subjects.HeaderEvent, name)
	h.add(subjects.HeaderTenant, r.tenant)
	h.add(subjects.HeaderReceivedAt, received)
	h.foreign(subjects.HeaderConversationID, e.conversationID)
	h.foreign(subjects.HeaderInboxID, e.inboxID)
	r.messageHeaders(h, e, now)
	trace(h, in)
	return &nats.Msg{Subject: r.subject(e), Header: h.set, Data: body}
}

func (r *Receiver) messageHeaders(h *headers, e *event, now time.Time) {
	if !e.isMessage() {
		return
	}
	h.foreign(subjects.HeaderMessageID, e.messageID)
	h.foreign(subjects.HeaderMessageType, e.messageType)
	h.add(subjects.HeaderPrivate, e.private)
	echo := r.echoOf(e)
	h.foreign(subjects.HeaderEchoOf, echo)
	by := origin(e, echo != "")
	h.add(subjects.HeaderOrigin, string(by))
	if r.loops.observe(e, by, now) {
		h.add(subjects.HeaderLoop, "true")
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
func (r *Receiver) deadLetter(body []byte, why error, now time.Time, in http.Header) *nats.Msg {
	h := newHeaders()
	h.add(subjects.HeaderMsgID, "dead-"+subjects.EventID(r.tenant, "malformed", bodyHash(body)))
	h.foreign(subjects.HeaderContentType, in.Get("Content-Type"))
	h.add(subjects.HeaderTenant, r.tenant)
	h.add(subjects.HeaderReason, string(subjects.ReasonMalformed))
	h.add(subjects.HeaderDetail, why.Error())
	at := subjects.Time{Time: now}.String()
	h.add(subjects.HeaderReceivedAt, at)
	h.add(subjects.HeaderFailedAt, at)
	trace(h, in)
	return &nats.Msg{Subject: r.names.DeadWebhook(), Header: h.set, Data: body}
}

// trace passes the W3C trace context of the request on.
func trace(h *headers, in http.Header) {
	parent := first(in["Traceparent"])
	if len(parent) < 55 || len(parent) > 128 || !printable(parent) {
		return
	}
	h.add(subjects.HeaderTraceparent, parent)
	if state := strings.Join(in["Tracestate"], ","); len(state) <= maxHeaderValue && printable(state) {
		h.add(subjects.HeaderTracestate, state)
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
