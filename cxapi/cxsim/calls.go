package cxsim

import (
	"net/http"
	"net/url"
	"slices"
)

// carryOut does what a request asks for, with the tenant locked until the journal has its entry, so that the journal's
// order is that of the effects.
func (t *Tenant) carryOut(x *exchange, v verdict, ends *batch) reply {
	t.mu.Lock()
	t.batch = ends
	told := t.do(x)
	t.batch = nil
	x.entry.CarriedOut = told.status < 300
	x.entry.Status = v.shown(told.status)
	t.sim.note(x.entry)
	t.mu.Unlock()
	return told
}

func (t *Tenant) do(x *exchange) reply {
	x.entry.ConversationID = max(x.asked.ConversationID.n, 0)
	switch x.entry.Op {
	case OpSendMessage:
		return t.sendMessage(&x.asked, &x.entry)
	case OpCreateConversation:
		return t.createConversation(&x.asked, &x.entry)
	case OpDeliverToAgent:
		return t.deliverToAgent(&x.asked)
	case OpFinish:
		return t.finish(&x.asked)
	case OpCreateContact:
		return t.createContact(&x.asked, &x.entry)
	case OpListInboxes:
		return t.listInboxes()
	case OpCreateWebhook:
		return t.createWebhook(&x.asked, &x.entry)
	case OpCreateBot:
		return t.createBot(&x.asked, &x.entry)
	case OpAssignBot:
		return t.assignBot(&x.asked, &x.entry)
	}
	return *notFound()
}

func (t *Tenant) created(native, bare any) reply {
	return reply{status: t.sim.opt.CreatedStatus, native: native, bare: bare}
}

func (t *Tenant) listInboxes() reply {
	list := make([]restInbox, 0, len(t.inboxes))
	for _, in := range t.inboxes {
		list = append(list, restInbox{
			ID: t.number(in.id), Name: in.Name, ChannelID: t.number(in.id), ChannelType: in.Channel,
			GreetingEnabled: in.Greeting != "", GreetingMessage: orNull(in.Greeting),
			LockToSingle: in.LockToSingle, Provider: nil,
		})
	}
	return reply{status: http.StatusOK, native: map[string]any{"payload": list}, bare: list}
}

func (t *Tenant) createWebhook(r *request, e *Entry) reply {
	if r.URL == "" {
		return *missing("url")
	}
	if u, err := url.Parse(r.URL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return *invalid("Url is invalid", "url")
	}
	if len(r.Subscriptions) == 0 || t.unknownSubscription(r.Subscriptions) != "" {
		return *invalid("Subscriptions Invalid events", "subscriptions")
	}
	if slices.ContainsFunc(t.webhooks, func(w *webhook) bool { return w.url == r.URL }) {
		return *invalid("Url has already been taken", "url")
	}
	w := t.addWebhook(r.URL, r.Subscriptions)
	e.ObjectID = w.id
	bare := restWebhook{
		ID: t.number(w.id), URL: w.url, AccountID: t.number(t.id), Subscriptions: w.subscriptions,
		Secret: t.signing(w.secret, t.feat.signsWebhooks),
	}
	return t.created(map[string]any{"payload": map[string]any{"webhook": bare}}, bare)
}

func (t *Tenant) createBot(r *request, e *Entry) reply {
	switch {
	case r.Name == "":
		return *invalid("Name can't be blank", "name")
	case r.OutgoingURL == "":
		return *missing("outgoing_url")
	}
	if u, err := url.Parse(r.OutgoingURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return *invalid("Outgoing url is invalid", "outgoing_url")
	}
	b := t.addBot(r.Name, r.Description, r.OutgoingURL)
	e.ObjectID = b.id
	bare := restBot{
		ID: t.number(b.id), Name: b.name, Description: orNull(b.description), OutgoingURL: b.outgoingURL,
		BotType: "webhook", AccountID: t.number(t.id), Secret: t.signing(b.secret, t.feat.signsBots),
	}
	return t.created(bare, bare)
}

func (t *Tenant) assignBot(r *request, e *Entry) reply {
	switch {
	case !r.InboxID.set:
		return *missing("inbox_id")
	case !r.AgentBotID.set:
		return *missing("agent_bot_id")
	}
	in, b := t.inbox(r.InboxID.n), t.bot(r.AgentBotID.n)
	if in == nil || b == nil || b == t.owner {
		return *notFound()
	}
	in.bot = b
	e.ObjectID = b.id
	return reply{status: http.StatusOK}
}
