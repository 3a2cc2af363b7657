package cxapi

import (
	"context"
	"net/http"
)

// WebhookParams is a webhook to register.
type WebhookParams struct {
	// URL is where events are posted to. The platform must be able to reach it.
	URL string
	// Subscriptions are the events wanted; none is the two that the vendor documents.
	Subscriptions []string
}

// Webhook is a webhook that was registered.
type Webhook struct {
	Answer
	// ID is the webhook's; zero if the answer did not tell.
	ID ID
	// Secret is what the platform signs its requests with; empty if the answer did not tell.
	Secret string
}

// CreateWebhook registers an address for events. It is not idempotent; an address that is registered is refused as
// [Error.AlreadyDone].
//
// POST webhooks/, https://sangomakb.atlassian.net/wiki/spaces/SCX/pages/376995877
func (c *Client) CreateWebhook(ctx context.Context, p WebhookParams) (*Webhook, error) {
	if len(p.Subscriptions) == 0 {
		p.Subscriptions = []string{"conversation_created", "message_created"}
	}
	cl := call{method: http.MethodPost, path: "webhooks/", body: struct {
		Tenant        string   `json:"tenant_domain"`
		URL           string   `json:"url"`
		Subscriptions []string `json:"subscriptions"`
	}{c.tenant, p.URL, p.Subscriptions}}
	if p.URL == "" {
		return nil, cl.malformed("the url is missing")
	}
	answer, o, err := c.create(ctx, cl, resource{
		id:    func(o *object) ID { return o.WebhookID.ID },
		named: func(o *object) subtree { return o.Webhook },
	})
	if err != nil {
		return nil, err
	}
	webhook := &Webhook{Answer: answer}
	if o != nil {
		webhook.ID, webhook.Secret = firstID(o.ID, o.WebhookID), string(o.Secret)
	}
	return webhook, nil
}
