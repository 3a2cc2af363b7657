package cxsim

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

const (
	incoming = "incoming"
	outgoing = "outgoing"
	template = "template"
	activity = "activity"

	statusOpen     = "open"
	statusPending  = "pending"
	statusResolved = "resolved"

	senderContact = "Contact"
	senderUser    = "User"
	senderBot     = "AgentBot"
)

// Contact is a customer.
type Contact struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Email     string    `json:"email,omitempty"`
	Phone     string    `json:"phone_number,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Message is one message of a conversation.
type Message struct {
	ID             int64  `json:"id"`
	ConversationID int64  `json:"conversation_id"`
	Type           string `json:"message_type"` // incoming, outgoing, template, or activity, which never leaves
	Content        string `json:"content"`
	Private        bool   `json:"private,omitempty"`
	// SenderType is Contact, User (a human agent) or AgentBot; empty when the platform itself speaks.
	SenderType string          `json:"sender_type,omitempty"`
	SenderID   int64           `json:"sender_id,omitempty"`
	SourceID   string          `json:"source_id,omitempty"`
	Attributes json.RawMessage `json:"content_attributes,omitempty"`
	// Failed tells that the webhook of the inbox did not take it.
	Failed    bool      `json:"failed,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Conversation is what a conversation looks like at one moment.
type Conversation struct {
	ID         int64     `json:"id"` // counts per tenant
	InboxID    int64     `json:"inbox_id"`
	Contact    Contact   `json:"contact"`
	SourceID   string    `json:"source_id"`
	Status     string    `json:"status"`             // open, pending or resolved
	WithHuman  bool      `json:"with_human"`         // it was delivered to an agent and not given back since
	Assignee   string    `json:"assignee,omitempty"` // the human agent's name
	Priority   string    `json:"priority,omitempty"` // low, medium, high or urgent
	Messages   []Message `json:"messages"`           // all of them, also private ones and activities
	CreatedAt  time.Time `json:"created_at"`
	ActivityAt time.Time `json:"last_activity_at"`
	ResolvedAt time.Time `json:"resolved_at,omitzero"` // of the last time
}

type inbox struct {
	id int64
	InboxOptions
	bot    *bot
	secret string // of its webhook
}

type bot struct {
	id                             int64
	name, description, outgoingURL string
	secret                         string
}

type webhook struct {
	id            int64
	url, secret   string
	subscriptions []string
}

type contactInbox struct {
	id        int64
	contact   *Contact
	inbox     *inbox
	sourceID  string
	createdAt time.Time
}

type agent struct {
	id          int64
	name, email string
}

type conversation struct {
	id                int64
	uuid              string
	link              *contactInbox
	status            string
	withHuman         bool
	assignee          *agent
	priority          string
	messages          []*Message
	recent            []time.Time // of messages, for the cap of a minute
	unread            int
	createdAt         time.Time
	activityAt        time.Time
	updatedAt         time.Time
	resolvedAt        time.Time
	waitingSince      time.Time
	firstReplyAt      time.Time
	contactSeenAt     time.Time
	agentSeenAt       time.Time
	lastPublicMessage *Message
}

// Tenant is the state of one tenant: its inboxes, contacts, conversations, webhooks and bots. The methods of the
// default tenant are also those of the [Sim].
type Tenant struct {
	domain string
	sim    *Sim
	feat   features
	id     int64

	mu            sync.Mutex
	inboxes       []*inbox
	contacts      map[int64]*Contact
	byEmail       map[string]*Contact
	byPhone       map[string]*Contact
	links         map[linkKey]*contactInbox
	firstLinks    map[contactAt]*contactInbox
	conversations map[int64]*conversation
	lastOf        map[*contactInbox]*conversation
	lastDisplayID int64
	webhooks      []*webhook
	bots          []*bot
	owner         *bot   // who speaks for the API when no bot is assigned
	ownerUser     *agent // the same as a user
	agents        []*agent
	batch         *batch // collects the deliveries of the change that is being made
}

type linkKey struct {
	inbox  int64
	source string
}

type contactAt struct{ inbox, contact int64 }

func newTenant(s *Sim, domain string, id int64) *Tenant {
	t := &Tenant{
		domain: domain, sim: s, id: id, feat: s.opt.Profile.features(),
		contacts: map[int64]*Contact{}, byEmail: map[string]*Contact{}, byPhone: map[string]*Contact{},
		links: map[linkKey]*contactInbox{}, firstLinks: map[contactAt]*contactInbox{}, conversations: map[int64]*conversation{},
		lastOf: map[*contactInbox]*conversation{},
	}
	for _, options := range s.opt.Inboxes {
		fallback(&options.Channel, ChannelAPI)
		fallback(&options.Name, "Chat")
		id := s.inboxIDs.Add(1)
		t.inboxes = append(t.inboxes, &inbox{id: id, InboxOptions: options, secret: t.secretFor("inbox", id)})
	}
	t.owner = &bot{id: s.botIDs.Add(1), name: "API"}
	t.ownerUser = &agent{id: s.userIDs.Add(1), name: "API user", email: "api@" + domain}
	t.agents = append(t.agents, &agent{id: s.userIDs.Add(1), name: "Bo", email: "bo@" + domain})
	return t
}

// Domain is the tenant's domain.
func (t *Tenant) Domain() string { return t.domain }

func (t *Tenant) now() time.Time { return t.sim.opt.Now().UTC() }

func (t *Tenant) number(n int64) number { return number{n: n, quoted: t.sim.opt.IDsAsStrings} }

// account is the short name, as the platform names accounts.
func (t *Tenant) account() string {
	name, _, _ := strings.Cut(t.domain, ".")
	return name
}

func (t *Tenant) inbox(id int64) *inbox {
	for _, in := range t.inboxes {
		if in.id == id {
			return in
		}
	}
	return nil
}

// inboxOf finds the first inbox of a channel.
func (t *Tenant) inboxOf(channel string) *inbox {
	for _, in := range t.inboxes {
		if in.Channel == channel {
			return in
		}
	}
	return t.inboxes[0]
}

// InboxID is the id of the first inbox of a channel, or of the first inbox if there is none.
func (t *Tenant) InboxID(channel string) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.inboxOf(channel).id
}

// initialStatus is that of a new conversation, and of one that is opened again by its customer.
func (t *Tenant) initialStatus(in *inbox) string {
	if in.bot == nil && t.sim.opt.StartOpen {
		return statusOpen
	}
	return statusPending
}

// Conversation returns a conversation as it is now.
func (t *Tenant) Conversation(id int64) (Conversation, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, err := t.find(id)
	if err != nil {
		return Conversation{}, err
	}
	return c.view(), nil
}

// Conversations returns all conversations as they are now, by their ids.
func (t *Tenant) Conversations() []Conversation {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]Conversation, 0, len(t.conversations))
	for id := int64(1); id <= t.lastDisplayID; id++ {
		all = append(all, t.conversations[id].view())
	}
	return all
}

// Messages returns the messages of a conversation, also private ones and activities; none if there is no such
// conversation.
func (t *Tenant) Messages(conversation int64) []Message {
	c, err := t.Conversation(conversation)
	if err != nil {
		return nil
	}
	return c.Messages
}

func (t *Tenant) find(id int64) (*conversation, error) {
	if c := t.conversations[id]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("conversation %d of %s: not found", id, t.domain)
}

func (c *conversation) view() Conversation {
	v := Conversation{
		ID: c.id, InboxID: c.link.inbox.id, Contact: *c.link.contact, SourceID: c.link.sourceID, Status: c.status,
		WithHuman: c.withHuman, Priority: c.priority, CreatedAt: c.createdAt, ActivityAt: c.activityAt,
		ResolvedAt: c.resolvedAt, Messages: make([]Message, 0, len(c.messages)),
	}
	if c.assignee != nil {
		v.Assignee = c.assignee.name
	}
	for _, m := range c.messages {
		v.Messages = append(v.Messages, *m)
	}
	return v
}
