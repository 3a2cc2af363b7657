package cxsim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Channel is a way that events take.
type Channel string

// Channels of delivery.
const (
	ToWebhook Channel = "webhook" // a webhook of the account, by its subscriptions
	ToBot     Channel = "bot"     // the agent bot that is assigned to the inbox
	ToInbox   Channel = "inbox"   // the webhook of an inbox of ChannelAPI, which has no subscriptions
)

// Subscriptions lists the events that a webhook may subscribe to on this version of the platform.
func (p Profile) Subscriptions() []string {
	names := []string{"conversation_status_changed", "conversation_updated", "conversation_created", "contact_created",
		"contact_updated", "message_created", "message_updated", "webwidget_triggered", "inbox_created", "inbox_updated"}
	if p.features().typingEvents {
		names = append(names, "conversation_typing_on", "conversation_typing_off")
	}
	return names
}

// Knows tells whether a webhook may subscribe to an event on this version of the platform, the default one when empty.
func (p Profile) Knows(event string) bool {
	fallback(&p, V313)
	return slices.Contains(p.Subscriptions(), event)
}

// botEvents lists what an agent bot is told. conversation_created is never among it.
func (f features) botEvents() []string {
	names := []string{"message_created", "message_updated", "webwidget_triggered", "conversation_opened",
		"conversation_resolved"}
	if f.botStatusEvents {
		names = append(names, "conversation_status_changed", "conversation_updated")
	}
	return names
}

// inboxEvents lists what the webhook of an inbox is told: what can be subscribed to and is about a conversation.
func (p Profile) inboxEvents() []string {
	return slices.DeleteFunc(p.Subscriptions(), func(event string) bool {
		return strings.HasPrefix(event, "contact_") || strings.HasPrefix(event, "inbox_")
	})
}

// target is where one delivery goes.
type target struct {
	channel Channel
	id      int64
	url     string
	secret  string // empty: not signed
}

// payload is the body of an event, made once for all its deliveries unless it is bound late.
type payload struct {
	once  sync.Once
	build func() any
	body  []byte
	err   error
}

func (p *payload) bytes() ([]byte, error) {
	p.once.Do(func() { p.body, p.err = json.Marshal(p.build()) })
	return p.body, p.err
}

// emit hands an event to whoever is to have it. The tenant is locked; build is called with the tenant locked.
func (t *Tenant) emit(event string, c *conversation, m *Message, build func() any) {
	targets := t.targets(event, c)
	if len(targets) == 0 {
		return
	}
	snapshot := build()
	now := &payload{build: func() any { return snapshot }}
	for _, to := range targets {
		d := &delivery{tenant: t, target: to, event: event, payload: now, batch: t.batch}
		if t.sim.opt.LateBinding && to.channel != ToBot {
			d.payload = &payload{build: func() any {
				t.mu.Lock()
				defer t.mu.Unlock()
				return build()
			}}
		}
		if c != nil {
			d.conversation = c.id
		}
		if m != nil {
			d.message = m.ID
		}
		d.batch.add()
		t.sim.out.enqueue(d)
	}
}

func (t *Tenant) emitConversation(event string, c *conversation, changed changes) {
	t.emit(event, c, nil, func() any {
		return conversationEvent{Event: event, conversationObject: t.conversationObject(c), Changed: changed}
	})
}

func (t *Tenant) targets(event string, c *conversation) []target {
	var to []target
	for _, w := range t.webhooks {
		if slices.Contains(w.subscriptions, event) {
			to = append(to, target{ToWebhook, w.id, w.url, t.signing(w.secret, t.feat.signsWebhooks)})
		}
	}
	if c == nil {
		return to
	}
	in := c.link.inbox
	if in.WebhookURL != "" && in.Channel == ChannelAPI && slices.Contains(t.sim.opt.Profile.inboxEvents(), event) {
		to = append(to, target{ToInbox, in.id, in.WebhookURL, t.signing(in.secret, t.feat.signsBots)})
	}
	if b := in.bot; b != nil && b.outgoingURL != "" && slices.Contains(t.feat.botEvents(), event) {
		to = append(to, target{ToBot, b.id, b.outgoingURL, t.signing(b.secret, t.feat.signsBots)})
	}
	return to
}

// signing is the secret to sign with, empty where the version does not sign.
func (t *Tenant) signing(secret string, signs bool) string {
	if signs || t.sim.opt.SigningSecret != "" {
		return secret
	}
	return ""
}

func (t *Tenant) secretFor(purpose string, id int64) string {
	if t.sim.opt.SigningSecret != "" {
		return t.sim.opt.SigningSecret
	}
	return secretOf(t.sim.opt.Seed, purpose, id)
}

// Subscribe registers a webhook without a call of the API. Without subscriptions it gets the two that the vendor
// documents. It returns the secret that deliveries are signed with, if they are, and panics when a subscription does
// not exist in the profile.
func (t *Tenant) Subscribe(url string, subscriptions ...string) (secret string) {
	if len(subscriptions) == 0 {
		subscriptions = []string{"conversation_created", "message_created"}
	}
	if name := t.unknownSubscription(subscriptions); name != "" {
		panic(fmt.Sprintf("cxsim: subscription %q does not exist in %s", name, t.sim.opt.Profile))
	}
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	return t.addWebhook(url, subscriptions).secret
}

func (t *Tenant) unknownSubscription(names []string) string {
	known := t.sim.opt.Profile.Subscriptions()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}

func (t *Tenant) addWebhook(url string, subscriptions []string) *webhook {
	id := t.sim.webhookIDs.Add(1)
	w := &webhook{id: id, url: url, secret: t.secretFor("webhook", id), subscriptions: slices.Clone(subscriptions)}
	t.webhooks = append(t.webhooks, w)
	return w
}

// Unsubscribe removes a webhook. Deliveries that are waiting are still made.
func (t *Tenant) Unsubscribe(url string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.webhooks = slices.DeleteFunc(t.webhooks, func(w *webhook) bool { return w.url == url })
}

// AttachInboxWebhook sets the webhook of an inbox of [ChannelAPI], which gets every event of its conversations. It
// returns the secret that its deliveries are signed with, if they are; ok is false when there is no such inbox.
func (t *Tenant) AttachInboxWebhook(inboxID int64, url string) (secret string, ok bool) {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	in := t.inbox(inboxID)
	if in == nil || in.Channel != ChannelAPI {
		return "", false
	}
	in.WebhookURL = url
	return in.secret, true
}

// receivers is how many there are that events can go to: webhooks, those of inboxes, and agent bots that are assigned.
func (t *Tenant) receivers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	count := len(t.webhooks)
	for _, in := range t.inboxes {
		if in.WebhookURL != "" {
			count++
		}
		if in.bot != nil {
			count++
		}
	}
	return count
}

// AttachBot creates an agent bot and assigns it to an inbox, without calls of the API. It returns the bot's id and the
// secret that its deliveries are signed with, if they are; the id is zero when there is no such inbox.
func (t *Tenant) AttachBot(inboxID int64, name, outgoingURL string) (id int64, secret string) {
	t.mu.Lock()
	defer t.changed()
	defer t.mu.Unlock()
	in := t.inbox(inboxID)
	if in == nil {
		return 0, ""
	}
	in.bot = t.addBot(name, "", outgoingURL)
	return in.bot.id, in.bot.secret
}

func (t *Tenant) addBot(name, description, outgoingURL string) *bot {
	id := t.sim.botIDs.Add(1)
	b := &bot{id: id, name: name, description: description, outgoingURL: outgoingURL, secret: t.secretFor("bot", id)}
	t.bots = append(t.bots, b)
	return b
}
