package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

const (
	maxBody = 64 << 10 // bytes of a request
	maxName = 80       // characters
)

// problem is an error that the page is told.
type problem struct {
	status int
	text   string
}

func (p problem) Error() string { return p.text }

// Problems that have more than one cause, or need to be told apart by the page.
var (
	errNoVisitor = problem{http.StatusUnauthorized, "there is no conversation"}
	errTooOften  = problem{http.StatusTooManyRequests, "too many at once; try again in a moment"}
	errAway      = problem{http.StatusServiceUnavailable, "not connected at the moment"}
	errNotYet    = problem{http.StatusConflict, "the conversation has not begun yet"}
)

// session answers whether this browser has a conversation, and gives it a cookie if it has none.
func (g *Gateway) session(w http.ResponseWriter, r *http.Request) {
	if !g.isReady() {
		g.refuse(w, r, errAway)
		return
	}
	visitor, ok := g.visitor(r)
	known := false
	if ok {
		_, known = g.chats.conversation(visitor)
	} else {
		g.setCookie(w, newToken(), int(g.cfg.Lifetime.Seconds()))
	}
	answer(w, http.StatusOK, map[string]any{"started": known, "title": g.cfg.Title, "max_text": g.cfg.MaxText})
}

func (g *Gateway) isReady() bool {
	select {
	case <-g.ready:
		return true
	default:
		return false
	}
}

// start begins the visitor's conversation. The contact is one of its own for each visitor, whatever name is given: a contact that is found by what
// somebody types would let them into another's conversations.
func (g *Gateway) start(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		Name string `json:"name"`
	}
	visitor, err := g.ask(w, r, &asked)
	if err == nil && g.known(visitor) {
		answer(w, http.StatusAccepted, struct{}{})
		return
	}
	name := clean(asked.Name)
	switch {
	case err != nil:
	case name == "" || utf8.RuneCountInString(name) > maxName:
		err = problem{http.StatusUnprocessableEntity, "please give a name of at most " + strconv.Itoa(maxName) + " characters"}
	case !g.gate.mayStart(r):
		err = errTooOften
	default:
		err = g.publish(r.Context(), subjects.ConversationStart, commandID(visitor, partStart), map[string]any{
			"inbox_id": inboxID(g.cfg.InboxID), "contact": map[string]string{"name": name, "email": visitor + "@visitor.invalid"},
		})
	}
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	g.chats.begin(visitor, name, time.Now()) // the stream will tell it, too, but later
	answer(w, http.StatusAccepted, struct{}{})
}

func (g *Gateway) known(visitor string) bool {
	_, known := g.chats.conversation(visitor)
	return known
}

// message posts what the visitor wrote. The page may repeat it with the same id.
func (g *Gateway) message(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		ID   string `json:"id"`
		Text string `json:"text"`
	}
	visitor, err := g.ask(w, r, &asked)
	if err == nil {
		err = g.send(r.Context(), visitor, asked.ID, asked.Text)
	}
	if err != nil {
		g.refuse(w, r, err)
		return
	}
	answer(w, http.StatusAccepted, struct{}{})
}

func (g *Gateway) send(ctx context.Context, visitor, id, text string) error {
	conversation, known := g.chats.conversation(visitor)
	switch {
	case !known:
		return errNoVisitor
	case !madeByPage(id):
		return problem{http.StatusUnprocessableEntity, "the id is malformed"}
	case strings.TrimSpace(text) == "" || !utf8.ValidString(text) || strings.ContainsRune(text, 0):
		return problem{http.StatusUnprocessableEntity, "there is no text"}
	case utf8.RuneCountInString(text) > g.cfg.MaxText:
		return problem{http.StatusUnprocessableEntity, fmt.Sprintf("the text is longer than %d characters", g.cfg.MaxText)}
	case conversation.IsZero():
		return errNotYet
	case !g.gate.mayWrite(visitor):
		return errTooOften
	}
	return g.publish(ctx, subjects.MessageSend, commandID(visitor, id), map[string]any{
		"conversation_id": conversation, "content": text, "message_type": "incoming",
	})
}

// leave makes the browser forget its conversation.
func (g *Gateway) leave(w http.ResponseWriter, r *http.Request) {
	g.setCookie(w, "", -1)
	answer(w, http.StatusOK, struct{}{})
}

// publish returns when the command is stored. A command that is published again is not carried out again.
func (g *Gateway) publish(ctx context.Context, kind subjects.Kind, id string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, g.cfg.PublishTimeout)
	defer cancel()
	m := &nats.Msg{Subject: g.names.Command(kind), Header: nats.Header{subjects.HeaderMsgID: {id}}, Data: data}
	if _, err := g.js.PublishMsg(ctx, m, jetstream.WithRetryAttempts(0)); err != nil {
		return fmt.Errorf("publish %s: %w", kind, err)
	}
	return nil
}

// ask reads a request of the page.
func (g *Gateway) ask(w http.ResponseWriter, r *http.Request, into any) (visitor string, err error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return "", problem{http.StatusUnsupportedMediaType, "the content type is not application/json"}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return "", problem{http.StatusRequestEntityTooLarge, "that is too long"}
	}
	if err != nil || json.Unmarshal(body, into) != nil {
		return "", problem{http.StatusBadRequest, "the request cannot be read"}
	}
	visitor, ok := g.visitor(r)
	if !ok {
		return "", errNoVisitor
	}
	if !g.isReady() {
		return "", errAway
	}
	return visitor, nil
}

func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	if !errors.As(err, &p) {
		g.log.WarnContext(r.Context(), "a request failed", "path", r.URL.Path, "error", err)
		p = errAway
	}
	if p.status == http.StatusTooManyRequests || p.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "2")
	}
	answer(w, p.status, map[string]string{"error": p.text})
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever is gone need not be told
}

// clean takes away what has no place in a name.
func clean(name string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, name))
}

// inboxID is the id as a number if it is one.
func inboxID(id string) subjects.ID {
	if parsed, err := subjects.ParseID([]byte(id)); err == nil && parsed.IsNumber() {
		return parsed
	}
	return subjects.StringID(id)
}

// cookie returns the name of the cookie. With the prefix, browsers take it only from this very host and by HTTPS.
func (g *Gateway) cookie() string {
	if g.cfg.Secure {
		return "__Host-widget"
	}
	return "widget"
}

func (g *Gateway) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: g.cookie(), Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: g.cfg.Secure, SameSite: http.SameSiteStrictMode,
	})
}

func (g *Gateway) visitor(r *http.Request) (string, bool) {
	c, err := r.Cookie(g.cookie())
	if err != nil || !isToken(c.Value) {
		return "", false
	}
	return visitorOf(c.Value), true
}
