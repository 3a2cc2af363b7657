package cxsim

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// customerRequest is what somebody does as a customer: go on with a conversation, or begin one.
type customerRequest struct {
	Tenant         string `json:"tenant"`
	ConversationID int64  `json:"conversation_id"`
	Visitor
}

type agentRequest struct {
	Tenant         string `json:"tenant"`
	ConversationID int64  `json:"conversation_id"`
	Action         string `json:"action"` // pick-up, say, note, resolve or return
	Text           string `json:"text"`
}

type subscribeRequest struct {
	Tenant        string   `json:"tenant"`
	URL           string   `json:"url"`
	Subscriptions []string `json:"subscriptions"`
	InboxID       int64    `json:"inbox_id"` // when set, it is the webhook of that inbox, which gets everything
}

func (s *Sim) tenantOf(domain string) (*Tenant, error) {
	if domain == "" {
		return s.Tenant, nil
	}
	if t := s.In(domain); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("tenant %q: not one of %s", domain, strings.Join(s.Tenants(), ", "))
}

func (s *Sim) customerActs(w http.ResponseWriter, r *http.Request) {
	var asked customerRequest
	if err := readJSON(w, r, &asked); err != nil {
		complain(w, err)
		return
	}
	done, err := s.customer(asked)
	respond(w, done, err)
}

func (s *Sim) customer(asked customerRequest) (any, error) {
	t, err := s.tenantOf(asked.Tenant)
	if err != nil {
		return nil, err
	}
	if asked.ConversationID == 0 {
		return t.NewConversation(asked.Visitor)
	}
	return t.CustomerSays(asked.ConversationID, asked.Text)
}

func (s *Sim) agentActs(w http.ResponseWriter, r *http.Request) {
	var asked agentRequest
	if err := readJSON(w, r, &asked); err != nil {
		complain(w, err)
		return
	}
	done, err := s.agentDoes(asked)
	respond(w, done, err)
}

func (s *Sim) agentDoes(asked agentRequest) (any, error) {
	t, err := s.tenantOf(asked.Tenant)
	if err != nil {
		return nil, err
	}
	if err := t.agentActs(asked); err != nil {
		return nil, err
	}
	return t.Conversation(asked.ConversationID)
}

func (t *Tenant) agentActs(asked agentRequest) error {
	id := asked.ConversationID
	switch asked.Action {
	case "pick-up":
		return t.AgentPicksUp(id)
	case "say":
		_, err := t.AgentSays(id, asked.Text)
		return err
	case "note":
		_, err := t.AgentNotes(id, asked.Text)
		return err
	case "resolve":
		return t.AgentResolves(id)
	case "return":
		return t.AgentReturns(id)
	}
	return fmt.Errorf("action %q: not one of pick-up, say, note, resolve, return", asked.Action)
}

func (s *Sim) subscribes(w http.ResponseWriter, r *http.Request) {
	var asked subscribeRequest
	if err := readJSON(w, r, &asked); err != nil {
		complain(w, err)
		return
	}
	done, err := s.subscribe(asked)
	respond(w, done, err)
}

func (s *Sim) subscribe(asked subscribeRequest) (any, error) {
	t, err := s.tenantOf(asked.Tenant)
	if err != nil {
		return nil, err
	}
	if u, err := url.Parse(asked.URL); err != nil || u.Host == "" {
		return nil, errors.New("url: not an absolute address")
	}
	if asked.InboxID != 0 {
		secret, ok := t.AttachInboxWebhook(asked.InboxID, asked.URL)
		if !ok || len(asked.Subscriptions) > 0 {
			return nil, fmt.Errorf("inbox_id %d: not an inbox of %s, or given together with subscriptions", asked.InboxID, ChannelAPI)
		}
		return map[string]string{"secret": secret}, nil
	}
	if name := t.unknownSubscription(asked.Subscriptions); name != "" {
		return nil, fmt.Errorf("subscription %q: not one of %v", name, s.opt.Profile.Subscriptions())
	}
	return map[string]string{"secret": t.Subscribe(asked.URL, asked.Subscriptions...)}, nil
}

func respond(w http.ResponseWriter, done any, err error) {
	if err != nil {
		complain(w, err)
		return
	}
	writeJSON(w, http.StatusOK, done)
}
