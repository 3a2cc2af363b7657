package cxsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// inspector serves what is of the simulator itself, below /_sim/. It has no password: it is for the machine that it
// runs on. Pages of other origins cannot change anything by it.
func (s *Sim) inspector() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /_sim/", page())
	mux.HandleFunc("GET /_sim/journal", s.showJournal)
	mux.HandleFunc("GET /_sim/deliveries", s.showDeliveries)
	mux.HandleFunc("GET /_sim/state", s.showState)
	mux.HandleFunc("GET /_sim/faults", s.showFaults)
	mux.HandleFunc("POST /_sim/faults", s.setFault)
	mux.HandleFunc("DELETE /_sim/faults", s.act(s.ClearFaults))
	mux.HandleFunc("POST /_sim/customer", s.customerActs)
	mux.HandleFunc("POST /_sim/agent", s.agentActs)
	mux.HandleFunc("POST /_sim/webhooks", s.subscribes)
	mux.HandleFunc("POST /_sim/deliveries/pause", s.act(s.PauseDeliveries))
	mux.HandleFunc("POST /_sim/deliveries/resume", s.act(s.ResumeDeliveries))
	mux.HandleFunc("POST /_sim/deliveries/flush", s.act(s.FlushDeliveries))
	mux.HandleFunc("POST /_sim/tokens/revoke", s.act(s.RevokeTokens))
	return http.NewCrossOriginProtection().Handler(mux)
}

func (s *Sim) act(do func()) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		do()
		w.WriteHeader(http.StatusNoContent)
	}
}

// filter is what the lists can be narrowed by.
type filter struct {
	query        url.Values
	conversation int64
	after        int64
}

func filterOf(r *http.Request) (filter, error) {
	f := filter{query: r.URL.Query()}
	for name, into := range map[string]*int64{"conversation": &f.conversation, "after": &f.after} {
		text := f.query.Get(name)
		if text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return f, fmt.Errorf("%s: %q is not a number", name, text)
		}
		*into = n
	}
	return f, nil
}

func (f filter) has(name, value string) bool { return !f.query.Has(name) || f.query.Get(name) == value }

func (s *Sim) showJournal(w http.ResponseWriter, r *http.Request) {
	f, err := filterOf(r)
	if err != nil {
		complain(w, err)
		return
	}
	kept := s.Journal().where(func(e *Entry) bool {
		return e.Seq > f.after && f.has("op", string(e.Op)) && f.has("tenant", e.Tenant) &&
			f.has("carried_out", strconv.FormatBool(e.CarriedOut)) &&
			(f.conversation == 0 || e.ConversationID == f.conversation)
	})
	writeJSON(w, http.StatusOK, append(Journal{}, kept...))
}

func (s *Sim) showDeliveries(w http.ResponseWriter, r *http.Request) {
	f, err := filterOf(r)
	if err != nil {
		complain(w, err)
		return
	}
	kept := []Delivery{}
	for _, d := range s.Deliveries() {
		if d.Seq > f.after && f.has("event", d.Event) && f.has("tenant", d.Tenant) && f.has("channel", string(d.Channel)) &&
			(f.conversation == 0 || d.ConversationID == f.conversation) {
			kept = append(kept, d)
		}
	}
	writeJSON(w, http.StatusOK, kept)
}

// State is everything that a tenant has.
type State struct {
	Tenant        string         `json:"tenant"`
	Inboxes       []InboxState   `json:"inboxes"`
	Webhooks      []WebhookState `json:"webhooks"`
	Bots          []BotState     `json:"bots"`
	Conversations []Conversation `json:"conversations"`
}

// InboxState is an inbox and the agent bot that is assigned to it, zero if there is none.
type InboxState struct {
	ID      int64  `json:"id"`
	Name    string `json:"name"`
	Channel string `json:"channel"`
	BotID   int64  `json:"bot_id,omitempty"`
	// WebhookHost is where the webhook of the inbox goes, empty if it has none.
	WebhookHost string `json:"webhook_host,omitempty"`
}

// WebhookState is a webhook of the tenant.
type WebhookState struct {
	ID            int64    `json:"id"`
	Host          string   `json:"host"` // the path is left out, for it may be secret
	Subscriptions []string `json:"subscriptions"`
}

// BotState is an agent bot of the tenant.
type BotState struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	Host string `json:"host"`
}

// State returns everything that the tenant has, as it is now.
func (t *Tenant) State() State {
	state := State{
		Tenant: t.domain, Inboxes: []InboxState{}, Webhooks: []WebhookState{}, Bots: []BotState{},
		Conversations: t.Conversations(),
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, in := range t.inboxes {
		shown := InboxState{ID: in.id, Name: in.Name, Channel: in.Channel, WebhookHost: hostOf(in.WebhookURL)}
		if in.bot != nil {
			shown.BotID = in.bot.id
		}
		state.Inboxes = append(state.Inboxes, shown)
	}
	for _, w := range t.webhooks {
		state.Webhooks = append(state.Webhooks, WebhookState{w.id, hostOf(w.url), w.subscriptions})
	}
	for _, b := range t.bots {
		state.Bots = append(state.Bots, BotState{b.id, b.name, hostOf(b.outgoingURL)})
	}
	return state
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

func (s *Sim) showState(w http.ResponseWriter, _ *http.Request) {
	tenants := []State{}
	for _, domain := range s.Tenants() {
		tenants = append(tenants, s.In(domain).State())
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"profile": s.opt.Profile, "tenants": tenants, "waiting_deliveries": s.WaitingDeliveries(),
	})
}

// wireFault is a fault as JSON has it: the delay is a text such as "1.5s".
type wireFault struct {
	Fault
	Delay string `json:"delay,omitempty"`
}

// resolve reads the delay and checks the fault.
func (f *wireFault) resolve() (err error) {
	if f.Delay != "" {
		if f.Fault.Delay, err = time.ParseDuration(f.Delay); err != nil {
			return err
		}
	}
	return f.check()
}

// ParseFault reads a fault as POST /_sim/faults takes it.
func ParseFault(text []byte) (Fault, error) {
	var read wireFault
	if err := decodeOne(bytes.NewReader(text), &read); err != nil {
		return Fault{}, fmt.Errorf("fault: %w", err)
	}
	if err := read.resolve(); err != nil {
		return Fault{}, err
	}
	return read.Fault, nil
}

func (s *Sim) showFaults(w http.ResponseWriter, _ *http.Request) {
	all := []wireFault{}
	for _, f := range s.Faults() {
		shown := wireFault{Fault: f}
		if f.Delay != 0 {
			shown.Delay = f.Delay.String()
		}
		all = append(all, shown)
	}
	writeJSON(w, http.StatusOK, all)
}

func (s *Sim) setFault(w http.ResponseWriter, r *http.Request) {
	var asked wireFault
	err := readJSON(w, r, &asked)
	if err == nil {
		err = asked.resolve()
	}
	if err != nil {
		complain(w, err)
		return
	}
	s.Fault(asked.Fault)
	w.WriteHeader(http.StatusNoContent)
}

func readJSON(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return errors.New("the content type is not application/json")
	}
	if err := decodeOne(http.MaxBytesReader(w, r.Body, 1<<20), into); err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	return nil
}

// decodeOne reads one object without unknown members, and nothing after it.
func decodeOne(from io.Reader, into any) error {
	decoder := json.NewDecoder(from)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the object")
	}
	return nil
}

func complain(w http.ResponseWriter, err error) {
	writeJSON(w, http.StatusBadRequest, failure(err.Error()))
}
