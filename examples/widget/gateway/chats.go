package gateway

import (
	"slices"
	"sync"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// state says in whose hands a conversation is.
type state string

const (
	stateStarting state = "starting" // not known to CX yet
	stateFailed   state = "failed"   // could not be started
	stateBot      state = "bot"
	stateWaiting  state = "waiting" // for an agent
	stateAgent    state = "agent"
	stateFinished state = "finished"
)

const fromVisitor = "visitor"

// message is what the page shows.
type message struct {
	ID     string    `json:"id"`
	From   string    `json:"from"` // visitor, bot, agent or system
	Name   string    `json:"name,omitempty"`
	Text   string    `json:"text"`
	At     time.Time `json:"at"`
	Client string    `json:"client,omitempty"` // the page's own id of it

	version uint64
}

// failure is a message of the visitor that did not get through, or perhaps not.
type failure struct {
	Client string `json:"client"`
	Maybe  bool   `json:"maybe"` // it may have got through

	version uint64
}

// summary is what the page shows beside the messages.
type summary struct {
	Name  string `json:"name"`
	State state  `json:"state"`
}

// chat is a conversation. Either of the two who know it may come first: the visitor, by the start, and CX, by its events.
type chat struct {
	visitor      string
	conversation subjects.ID
	summary
	active   time.Time
	messages []message
	failures []failure
	clients  map[string]string // id of a message → the page's id of it

	version        uint64 // of the newest change
	summaryVersion uint64
	changed        chan struct{} // closed at the next change
}

// chats is everything that the gateway knows.
type chats struct {
	cfg Config

	mu             sync.Mutex
	byVisitor      map[string]*chat
	byConversation map[string]*chat
}

func newChats(cfg Config) *chats {
	return &chats{cfg: cfg, byVisitor: map[string]*chat{}, byConversation: map[string]*chat{}}
}

// touch marks a change. It returns the number of it.
func (c *chat) touch(at time.Time) uint64 {
	c.version++
	if at.After(c.active) {
		c.active = at
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return c.version
}

func (cs *chats) add(at time.Time) *chat {
	if len(cs.byVisitor)+len(cs.byConversation) >= 2*cs.cfg.MaxChats {
		cs.forget()
	}
	return &chat{summary: summary{State: stateStarting}, active: at, clients: map[string]string{}, changed: make(chan struct{})}
}

// forget drops the tenth of all chats that was quiet for longest.
func (cs *chats) forget() {
	all := map[*chat]bool{}
	for _, c := range cs.byVisitor {
		all[c] = true
	}
	for _, c := range cs.byConversation {
		all[c] = true
	}
	sorted := make([]*chat, 0, len(all))
	for c := range all {
		sorted = append(sorted, c)
	}
	slices.SortFunc(sorted, func(a, b *chat) int { return a.active.Compare(b.active) })
	for _, c := range sorted[:max(1, len(sorted)/10)] {
		delete(cs.byVisitor, c.visitor)
		delete(cs.byConversation, c.conversation.String())
	}
}

// begin makes a visitor known.
func (cs *chats) begin(visitor, name string, at time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.ofVisitor(visitor, at)
	if c.Name != name && name != "" {
		c.Name = name
		c.summaryVersion = c.touch(at)
	}
}

func (cs *chats) ofVisitor(visitor string, at time.Time) *chat {
	c := cs.byVisitor[visitor]
	if c == nil {
		c = cs.add(at)
		c.visitor, c.summaryVersion = visitor, c.touch(at)
		cs.byVisitor[visitor] = c
	}
	return c
}

func (cs *chats) ofConversation(id string, at time.Time) *chat {
	c := cs.byConversation[id]
	if c == nil {
		c = cs.add(at)
		c.conversation = subjects.StringID(id)
		cs.byConversation[id] = c
	}
	return c
}

// started joins what is known of the visitor with what is known of the conversation.
func (cs *chats) started(visitor string, r subjects.Result, at time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	own := cs.ofVisitor(visitor, at)
	if r.Status != subjects.StatusDone || r.ConversationID.IsZero() {
		own.State = stateFailed
		own.summaryVersion = own.touch(at)
		return
	}
	id := r.ConversationID.String()
	if own == cs.byConversation[id] {
		return
	}
	c := cs.ofConversation(id, at)
	if c.visitor != "" {
		own.State = stateFailed // it is another's; CX made no new one
		own.summaryVersion = own.touch(at)
		return
	}
	c.visitor, c.conversation, c.Name, c.failures = visitor, r.ConversationID, own.Name, own.failures
	if c.State == stateStarting {
		c.State = stateBot
	}
	c.version = max(c.version, own.version)
	c.summaryVersion = c.touch(at)
	cs.byVisitor[visitor] = c
	own.touch(at) // who watches it finds the other one
}

// turned learns in whose hands a conversation is.
func (cs *chats) turned(conversation string, to state, at time.Time) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.ofConversation(conversation, at)
	if c.State != to {
		c.State = to
		c.summaryVersion = c.touch(at)
	}
}

// said learns of a message; the visitor and part of the command that caused it are empty if that is not known.
func (cs *chats) said(conversation string, m message, visitor, part string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.ofConversation(conversation, m.At)
	if slices.ContainsFunc(c.messages, func(known message) bool { return known.ID == m.ID }) {
		return
	}
	m.Client = c.clients[m.ID]
	if visitor != "" && part != partStart {
		m.Client = part
	}
	m.version = c.touch(m.At)
	c.messages = append(c.messages, m)
	if extra := len(c.messages) - cs.cfg.MaxMessages; extra > 0 {
		for _, old := range c.messages[:extra] {
			delete(c.clients, old.ID)
		}
		c.messages = slices.Delete(c.messages, 0, extra)
	}
}

// sent learns how the sending of a visitor's message ended.
func (cs *chats) sent(visitor, client string, r subjects.Result) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.byVisitor[visitor]
	switch {
	case r.ConversationID.IsZero() && c == nil:
		return
	case c == nil || c.conversation.String() != r.ConversationID.String() && !r.ConversationID.IsZero():
		c = cs.ofConversation(r.ConversationID.String(), r.FinishedAt.Time) // its start is read later
	}
	if r.Status != subjects.StatusDone {
		f := failure{Client: client, Maybe: r.Status == subjects.StatusUnknown, version: c.touch(r.FinishedAt.Time)}
		c.failures = append(c.failures, f)
		c.failures = c.failures[max(0, len(c.failures)-cs.cfg.MaxMessages):]
		return
	}
	id := r.MessageID.String()
	c.clients[id] = client
	for i := range c.messages {
		if c.messages[i].ID == id && c.messages[i].Client != client {
			c.messages[i].Client, c.messages[i].version = client, c.touch(r.FinishedAt.Time)
		}
	}
}

// conversation returns the id of a visitor's conversation; known says whether there is such a visitor.
func (cs *chats) conversation(visitor string) (id subjects.ID, known bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.byVisitor[visitor]
	if c == nil {
		return subjects.ID{}, false
	}
	return c.conversation, true
}

// news is what of a chat is newer than a version.
type news struct {
	summary  *summary
	messages []message
	failures []failure
	chat     *chat
	version  uint64
	changed  <-chan struct{}
}

// news returns what a visitor has not seen yet; ok is false when there is no such visitor. Everything is new if the chat is not the one of before.
func (cs *chats) news(visitor string, before *chat, version uint64) (n news, ok bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.byVisitor[visitor]
	if c == nil {
		return n, false
	}
	if c != before {
		version = 0
	}
	n = news{chat: c, version: c.version, changed: c.changed}
	if c.summaryVersion > version {
		s := c.summary
		n.summary = &s
	}
	for _, m := range c.messages {
		if m.version > version {
			n.messages = append(n.messages, m)
		}
	}
	for _, f := range c.failures {
		if f.version > version {
			n.failures = append(n.failures, f)
		}
	}
	return n, true
}
