package cxsim

import (
	"bytes"
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// reply is what the API says.
type reply struct {
	status int
	native any // as the platform itself wraps it
	bare   any // the object alone; nil where there is none
	plain  string
	header http.Header
}

type failureBody struct {
	Error string `json:"error"`
}

type invalidBody struct {
	Message    string   `json:"message"`
	Attributes []string `json:"attributes"`
}

func failure(text string) failureBody { return failureBody{text} }

func no(status int, text string) *reply { return &reply{status: status, native: failure(text)} }

func missing(member string) *reply {
	return no(http.StatusUnprocessableEntity, "param is missing or the value is empty: "+member)
}

func notFound() *reply { return no(http.StatusNotFound, "Resource could not be found") }

// invalid is how the platform reports a record that breaks a rule.
func invalid(message string, attributes ...string) *reply {
	return &reply{status: http.StatusUnprocessableEntity, native: invalidBody{message, attributes}}
}

// encode gives the reply's bytes in the envelope that was switched on.
func (r reply) encode(envelope Envelope) ([]byte, error) {
	if r.plain != "" {
		return []byte(r.plain), nil
	}
	body := r.native
	if r.bare != nil {
		switch envelope {
		case EnvelopeBare:
			body = r.bare
		case EnvelopePayload:
			body = map[string]any{"payload": r.bare}
		case EnvelopeData:
			body = map[string]any{"data": r.bare}
		}
	}
	if body == nil {
		return nil, nil
	}
	return json.Marshal(body)
}

// before tells whether the call is kept from being carried out.
func (v verdict) before() bool {
	return slices.Contains([]Effect{
		EffectStatus, EffectUnauthorized, EffectCloseBefore, EffectResetBefore, EffectHangBefore,
	}, v.Effect)
}

// shown is the status that the client will see of a true one; zero for none at all.
func (v verdict) shown(status int) int {
	switch v.Effect {
	case EffectLost:
		status = v.Status
		fallback(&status, http.StatusInternalServerError)
	case EffectClose, EffectReset, EffectHang:
		status = 0
	}
	return status
}

// failBefore answers, or leaves unanswered, what was not carried out.
func (s *Sim) failBefore(x *exchange, v verdict) {
	status := v.Status
	switch v.Effect {
	case EffectStatus:
		fallback(&status, http.StatusServiceUnavailable)
	case EffectUnauthorized:
		status = http.StatusUnauthorized
	default:
		status = 0
	}
	x.entry.Status = status
	s.note(x.entry)
	switch v.Effect {
	case EffectHangBefore:
		s.hang(x.r.Context())
		disconnect(x.w, false)
	case EffectCloseBefore, EffectResetBefore:
		disconnect(x.w, v.Effect == EffectResetBefore)
	default:
		pretend(x.w, v, status)
	}
}

// pretend answers what a fault says.
func pretend(w http.ResponseWriter, v verdict, status int) {
	if v.RetryAfter != "" {
		w.Header().Set("Retry-After", v.RetryAfter)
	}
	if v.Body == "" {
		writeJSON(w, status, failure(http.StatusText(status)))
		return
	}
	if !json.Valid([]byte(v.Body)) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
	} else {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(v.Body)) // the client may be gone, which is its affair
}

// answer sends the reply to what was carried out or refused, as the fault has it.
func (s *Sim) answer(x *exchange, v verdict, told reply, ends *batch) {
	switch v.Effect {
	case EffectLost:
		pretend(x.w, v, v.shown(0))
		return
	case EffectHang:
		s.hang(x.r.Context())
		disconnect(x.w, false)
		return
	case EffectClose, EffectReset:
		disconnect(x.w, v.Effect == EffectReset)
		return
	case EffectWebhookFirst:
		ends.wait(x.r.Context(), s.ctx)
	}
	body, err := told.encode(s.opt.Envelope)
	if err != nil {
		http.Error(x.w, err.Error(), http.StatusInternalServerError)
		return
	}
	for name, values := range told.header {
		x.w.Header()[name] = values
	}
	kind := "application/json; charset=utf-8"
	if told.plain != "" {
		kind = "text/plain"
	}
	x.w.Header().Set("Content-Type", kind)
	body = spoil(v, body)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(told.status)
	if v.Effect == EffectCut {
		cut(x.w, body)
		return
	}
	_, _ = x.w.Write(body) // the client may be gone, which is its affair
}

// spoil changes a body as the fault has it.
func spoil(v verdict, body []byte) []byte {
	switch v.Effect {
	case EffectMalformed:
		if v.Body != "" {
			return []byte(v.Body)
		}
		return body[:len(body)/2]
	case EffectEmpty:
		return nil
	case EffectOversized:
		return oversize(body, v.Size)
	}
	return body
}

// oversize makes an object longer than size by a member that nobody asked for.
func oversize(body []byte, size int) []byte {
	fallback(&size, 16<<20)
	trimmed := bytes.TrimRight(body, " \n")
	if !bytes.HasSuffix(trimmed, []byte("}")) {
		return append(bytes.Clone(body), strings.Repeat(" ", size)...)
	}
	out := bytes.NewBuffer(make([]byte, 0, size+len(body)+16))
	out.Write(trimmed[:len(trimmed)-1])
	if len(trimmed) > 2 {
		out.WriteByte(',')
	}
	out.WriteString(`"padding":"` + strings.Repeat("x", size) + `"}`)
	return out.Bytes()
}

// cut sends half of a body whose whole length has been announced.
func cut(w http.ResponseWriter, body []byte) {
	// Errors mean that the client has gone even before it was cut off.
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	disconnect(w, false)
}

// disconnect ends the connection without an answer, by a reset if it is one that can be reset.
func disconnect(w http.ResponseWriter, reset bool) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP's own way to end a connection
	}
	if tcp, ok := conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0) // without it the end is an ordinary one, which is a cut, too
	}
	_ = conn.Close() // nobody is left to be told
}
