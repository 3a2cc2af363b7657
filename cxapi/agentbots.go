package cxapi

import (
	"context"
	"errors"
	"net/http"
)

// AgentBotParams is an agent bot to create.
type AgentBotParams struct {
	// Name and Description are what people read.
	Name, Description string
	// OutgoingURL is where the events of the bot's conversations are posted to.
	OutgoingURL string
}

// AgentBot is an agent bot that was created.
type AgentBot struct {
	Answer
	// ID is the bot's; zero if the answer did not tell.
	ID ID
	// Secret is what the platform signs its requests with; empty if the answer did not tell.
	Secret string
}

// CreateAgentBot makes an agent bot, which answers in the vendor's own chat widget. It is not idempotent. A platform that
// does not know the path is asked by the older one.
//
// POST agents-bot/ (older: POST agent-bot/, without description),
// https://sangomakb.atlassian.net/wiki/pages/viewpage.action?pageId=376995859
func (c *Client) CreateAgentBot(ctx context.Context, p AgentBotParams) (*AgentBot, error) {
	type body struct {
		Tenant      string `json:"tenant_domain"`
		OutgoingURL string `json:"outgoing_url"`
		Description string `json:"description,omitempty"`
		Name        string `json:"name"`
	}
	cl := call{method: http.MethodPost, path: "agents-bot/", body: body{c.tenant, p.OutgoingURL, p.Description, p.Name}}
	if p.OutgoingURL == "" || p.Name == "" {
		return nil, cl.malformed("the outgoing url or the name is missing")
	}
	r := resource{
		id:    func(o *object) ID { return o.AgentBotID.ID },
		named: func(o *object) subtree { return o.AgentBot },
	}
	answer, o, err := c.create(ctx, cl, r)
	if isNotFound(err) {
		cl.path, cl.body = "agent-bot/", body{c.tenant, p.OutgoingURL, "", p.Name}
		answer, o, err = c.create(ctx, cl, r)
	}
	if err != nil {
		return nil, err
	}
	bot := &AgentBot{Answer: answer}
	if o != nil {
		bot.ID, bot.Secret = firstID(o.ID, o.AgentBotID), string(o.Secret)
	}
	return bot, nil
}

// AssignAgentBot lets an agent bot answer in an inbox, in place of another one. It may be repeated freely. The vendor
// writes these ids as strings, so they are sent as strings. A platform that does not know the path is asked by the
// older one.
//
// POST agents-bot/assign/ (older: POST assign-agent-bot/),
// https://sangomakb.atlassian.net/wiki/pages/viewpage.action?pageId=376995859
func (c *Client) AssignAgentBot(ctx context.Context, inboxID, agentBotID ID) (*Answer, error) {
	cl := call{method: http.MethodPost, path: "agents-bot/assign/", repeatable: true, body: struct {
		Tenant     string `json:"tenant_domain"`
		InboxID    string `json:"inbox_id"`
		AgentBotID string `json:"agent_bot_id"`
	}{c.tenant, inboxID.String(), agentBotID.String()}}
	if inboxID.IsZero() || agentBotID.IsZero() {
		return nil, cl.malformed("the inbox id or the agent bot id is missing")
	}
	answer, err := c.act(ctx, cl)
	if isNotFound(err) {
		cl.path = "assign-agent-bot/"
		answer, err = c.act(ctx, cl)
	}
	return answer, err
}

func isNotFound(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Status == http.StatusNotFound
}
