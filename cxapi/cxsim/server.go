package cxsim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
)

type route struct {
	op     Operation
	method string
}

// routes are the documented paths below Root, those of older documentation included.
func (s *Sim) routes() map[string]route {
	table := map[string]route{
		"webhooks/":                       {OpCreateWebhook, http.MethodPost},
		"inboxes/":                        {OpListInboxes, http.MethodGet},
		"contacts/":                       {OpCreateContact, http.MethodPost},
		"conversations/":                  {OpCreateConversation, http.MethodPost},
		"messages/":                       {OpSendMessage, http.MethodPost},
		"conversations/deliver-to-agent/": {OpDeliverToAgent, http.MethodPost},
		"conversations/finish/":           {OpFinish, http.MethodPost},
	}
	if s.opt.BotPaths != BotPathsOlder {
		table["agents-bot/"] = route{OpCreateBot, http.MethodPost}
		table["agents-bot/assign/"] = route{OpAssignBot, http.MethodPost}
	}
	if s.opt.BotPaths != BotPathsCurrent {
		table["agent-bot/"] = route{OpCreateBot, http.MethodPost}
		table["assign-agent-bot/"] = route{OpAssignBot, http.MethodPost}
	}
	return table
}

// Handler serves the API below [Root], the token server at /oauth/token, and what is of the simulator itself below
// /_sim/.
func (s *Sim) Handler() http.Handler {
	mux := http.NewServeMux()
	api := &apiHandler{sim: s, table: s.routes()}
	mux.Handle(Root, api)
	mux.HandleFunc(tokenPath, api.token)
	mux.Handle("/_sim/", s.inspector())
	mux.HandleFunc("/", api.unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			http.Error(w, "closed", http.StatusServiceUnavailable)
			return
		}
		defer s.handlers.Done()
		mux.ServeHTTP(w, r)
	})
}

type apiHandler struct {
	sim   *Sim
	table map[string]route
}

// exchange is one request on its way through the simulator.
type exchange struct {
	w     http.ResponseWriter
	r     *http.Request
	entry Entry
	body  []byte
	asked request
	bad   error // why the body could not be understood
}

func (h *apiHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, Root)
	found, ok := h.table[path]
	if withSlash, there := h.table[path+"/"]; !ok && there {
		switch h.sim.opt.Slash {
		case SlashAccept:
			found, ok = withSlash, true
		case SlashRedirect:
			h.refuse(w, r, http.StatusMovedPermanently, r.URL.Path+"/")
			return
		}
	}
	switch {
	case !ok:
		h.refuse(w, r, http.StatusNotFound, "")
	case r.Method != found.method:
		w.Header().Set("Allow", found.method)
		h.refuse(w, r, http.StatusMethodNotAllowed, "")
	default:
		h.serve(w, r, found.op)
	}
}

func (h *apiHandler) unknown(w http.ResponseWriter, r *http.Request) {
	h.refuse(w, r, http.StatusNotFound, "")
}

// refuse answers what is not of the API.
func (h *apiHandler) refuse(w http.ResponseWriter, r *http.Request, status int, location string) {
	x := h.open(w, r, OpUnknown)
	x.entry.Status = status
	h.sim.note(x.entry)
	if location != "" {
		w.Header().Set("Location", location)
	}
	writeJSON(w, status, failure(http.StatusText(status)))
}

// open reads the request.
func (h *apiHandler) open(w http.ResponseWriter, r *http.Request, op Operation) *exchange {
	x := &exchange{w: w, r: r, entry: Entry{
		Time: h.sim.opt.Now().UTC(), Op: op, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery,
		Header: interesting(r.Header),
	}}
	x.body, x.bad = readAtMost(r.Body, h.sim.opt.MaxBody)
	x.entry.Body = string(x.body)
	return x
}

var errTooLarge = errors.New("the body is too large")

// readAtMost reads so many bytes. The rest is read, too, and thrown away: an early end would look like a cut to the
// client.
func readAtMost(from io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(from, limit))
	if err != nil {
		return body, err
	}
	rest, err := io.Copy(io.Discard, from)
	if err == nil && rest > 0 {
		err = errTooLarge
	}
	return body, err
}

// interesting picks the headers that say something; credentials are not among them.
func interesting(all http.Header) map[string]string {
	kept := map[string]string{}
	for _, name := range []string{"Content-Type", "Accept", "User-Agent", "Traceparent", "Tracestate"} {
		if value := all.Get(name); value != "" {
			kept[name] = value
		}
	}
	return kept
}

// serve takes a request through faults, checks and its effect to its answer.
func (h *apiHandler) serve(w http.ResponseWriter, r *http.Request, op Operation) {
	x := h.open(w, r, op)
	if x.bad == nil && r.Method != http.MethodGet {
		x.bad = x.asked.decode(x.body, r.Header.Get("Content-Type"))
	}
	if r.Method == http.MethodGet {
		x.asked.TenantDomain = r.URL.Query().Get("tenant_domain")
		fallback(&x.asked.TenantDomain, h.sim.opt.TenantDomain)
	}
	x.entry.Tenant = x.asked.TenantDomain
	v := h.sim.faults.judge(occasion{
		op: op, tenant: x.asked.TenantDomain, conversation: x.asked.ConversationID.n, body: x.body,
	})
	x.entry.Fault = v.label
	h.sim.pause(r.Context(), v.delay)
	if v.before() {
		x.entry.ConversationID = max(x.asked.ConversationID.n, 0)
		h.sim.failBefore(x, v)
		return
	}
	var ends *batch
	if v.Effect == EffectWebhookFirst {
		ends = newBatch()
	}
	answer := h.carryOut(x, v, ends)
	h.sim.answer(x, v, answer, ends)
}

// carryOut checks the request and does what it asks for; either way the journal gets its entry.
func (h *apiHandler) carryOut(x *exchange, v verdict, ends *batch) reply {
	if no := h.check(x); no != nil {
		x.entry.Status, x.entry.ConversationID = v.shown(no.status), max(x.asked.ConversationID.n, 0)
		h.sim.note(x.entry)
		return *no
	}
	return h.sim.tenants[x.asked.TenantDomain].carryOut(x, v, ends)
}

// check tells why a request may not be carried out, nil if it may.
func (h *apiHandler) check(x *exchange) *reply {
	switch {
	case h.sim.rate.over(h.sim.opt.Now()):
		return &reply{status: http.StatusTooManyRequests, plain: "Retry later\n"}
	case errors.Is(x.bad, errTooLarge):
		return no(http.StatusRequestEntityTooLarge, "request body is too large")
	}
	if refused := h.sim.tokens.check(x.r.Header.Get("Authorization"), h.sim.opt.Now()); refused != nil {
		return refused
	}
	var badType *json.UnmarshalTypeError
	switch {
	case errors.As(x.bad, &badType):
		return no(http.StatusUnprocessableEntity, badType.Field+" has the wrong type")
	case x.bad != nil:
		return no(http.StatusBadRequest, "There was a problem in the JSON you submitted")
	case x.asked.TenantDomain == "":
		return missing("tenant_domain")
	case h.sim.tenants[x.asked.TenantDomain] == nil:
		return no(http.StatusForbidden, "You are not authorized to do this action")
	}
	return nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	// A client that is gone has no use for the error of telling it so.
	_, _ = w.Write(text)
}
