package cxsim

import (
	"context"
	"sync"
	"time"
)

// Operation is one call of the API, by what it does.
type Operation string

// Operations. OpDelivery is not a call: faults use it for what the simulator sends.
const (
	OpSendMessage        Operation = "message.send"
	OpCreateConversation Operation = "conversation.start"
	OpDeliverToAgent     Operation = "conversation.handoff"
	OpFinish             Operation = "conversation.finish"
	OpCreateContact      Operation = "contact.create"
	OpListInboxes        Operation = "inbox.list"
	OpCreateWebhook      Operation = "webhook.create"
	OpCreateBot          Operation = "bot.create"
	OpAssignBot          Operation = "bot.assign"
	OpToken              Operation = "token"
	OpUnknown            Operation = "unknown" // a path or a method that the API does not have
	OpDelivery           Operation = "delivery"
)

// Entry is one request that the API was asked for.
type Entry struct {
	Seq    int64             `json:"seq"` // counts from 1, in the order of being carried out
	Time   time.Time         `json:"time"`
	Tenant string            `json:"tenant,omitempty"`
	Op     Operation         `json:"op"`
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Query  string            `json:"query,omitempty"`
	Header map[string]string `json:"header,omitempty"` // those of interest; never a credential
	Body   string            `json:"body,omitempty"`   // as it came
	// Status is the one that was answered; zero when the connection was cut or left hanging.
	Status int `json:"status"`
	// CarriedOut is true when the call had its effect, whether or not its answer got through.
	CarriedOut bool   `json:"carried_out"`
	Fault      string `json:"fault,omitempty"` // name or effect of the fault that was applied

	ConversationID int64  `json:"conversation_id,omitempty"`
	MessageID      int64  `json:"message_id,omitempty"`
	ContactID      int64  `json:"contact_id,omitempty"`
	ObjectID       int64  `json:"object_id,omitempty"` // of a webhook or a bot
	MessageType    string `json:"message_type,omitempty"`
	Content        string `json:"content,omitempty"`
}

// Journal is what the API was asked for, in order. It is not to be changed.
type Journal []Entry

func (j Journal) where(keep func(*Entry) bool) Journal {
	var kept Journal
	for i := range j {
		if keep(&j[i]) {
			kept = append(kept, j[i])
		}
	}
	return kept
}

// Calls are the requests for an operation, carried out or not.
func (j Journal) Calls(op Operation) Journal {
	return j.where(func(e *Entry) bool { return e.Op == op })
}

// CarriedOut are the requests that had their effect.
func (j Journal) CarriedOut() Journal {
	return j.where(func(e *Entry) bool { return e.CarriedOut })
}

// Conversation are the requests about one conversation.
func (j Journal) Conversation(id int64) Journal {
	return j.where(func(e *Entry) bool { return e.ConversationID == id })
}

// Messages are the posts into a conversation that were carried out, in order. Zero means any conversation.
func (j Journal) Messages(conversation int64) Journal {
	return j.where(func(e *Entry) bool {
		return e.Op == OpSendMessage && e.CarriedOut && (conversation == 0 || e.ConversationID == conversation)
	})
}

// Contents are the contents of the messages among the entries, in order.
func (j Journal) Contents() []string {
	contents := make([]string, 0, len(j))
	for i := range j {
		contents = append(contents, j[i].Content)
	}
	return contents
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	Seq            int64     `json:"seq"` // counts from 1, in the order in which the attempts ended
	Time           time.Time `json:"time"`
	Tenant         string    `json:"tenant"`
	Channel        Channel   `json:"channel"`
	TargetID       int64     `json:"target_id"` // of the webhook or bot
	Event          string    `json:"event"`
	ConversationID int64     `json:"conversation_id,omitempty"`
	MessageID      int64     `json:"message_id,omitempty"`
	DeliveryID     string    `json:"delivery_id"`
	Attempt        int       `json:"attempt"`          // counts from 1
	Status         int       `json:"status,omitempty"` // zero when there was no answer
	Error          string    `json:"error,omitempty"`
	Fault          string    `json:"fault,omitempty"`
	Body           string    `json:"body,omitempty"` // the exact bytes that were sent
}

// OK tells whether the receiver took the event.
func (d Delivery) OK() bool { return d.Status >= 200 && d.Status < 300 }

// record is an append-only list of which readers get the current state without a copy.
type record[T any] struct {
	mu      sync.Mutex
	limit   int
	entries []T
	count   int64
}

// add gives the entry its number by set and appends it.
func (r *record[T]) add(entry T, set func(*T, int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	set(&entry, r.count)
	if r.limit > 0 && len(r.entries) >= 2*r.limit {
		r.entries = append(make([]T, 0, 2*r.limit), r.entries[len(r.entries)-r.limit+1:]...)
	}
	r.entries = append(r.entries, entry)
}

func (r *record[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.entries
	if r.limit > 0 && len(all) > r.limit {
		all = all[len(all)-r.limit:]
	}
	return all[:len(all):len(all)]
}

// waiters are those who want to know of every change.
type waiters struct {
	mu   sync.Mutex
	each map[chan struct{}]struct{}
}

func (w *waiters) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.each {
		select {
		case c <- struct{}{}:
		default: // it has been told already and has not looked yet
		}
	}
}

func (w *waiters) wait(ctx context.Context, holds func() bool) error {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	w.each[c] = struct{}{}
	w.mu.Unlock()
	defer func() {
		w.mu.Lock()
		delete(w.each, c)
		w.mu.Unlock()
	}()
	for !holds() {
		select {
		case <-c:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Journal returns all requests so far, in the order of being carried out.
func (s *Sim) Journal() Journal { return s.journal.all() }

// Deliveries returns all attempts to deliver an event so far.
func (s *Sim) Deliveries() []Delivery { return s.sent.all() }

// Wait returns when the condition holds. It looks after every request, delivery and change of the state. The error is
// the context's.
func (s *Sim) Wait(ctx context.Context, holds func() bool) error { return s.waiting.wait(ctx, holds) }

// WaitFor returns when the journal satisfies the condition. The error is the context's.
func (s *Sim) WaitFor(ctx context.Context, holds func(Journal) bool) error {
	return s.Wait(ctx, func() bool { return holds(s.Journal()) })
}

// WaitDeliveries returns when the deliveries satisfy the condition. The error is the context's.
func (s *Sim) WaitDeliveries(ctx context.Context, holds func([]Delivery) bool) error {
	return s.Wait(ctx, func() bool { return holds(s.Deliveries()) })
}

// WaitIdle returns when no delivery is waiting or under way. The error is the context's.
func (s *Sim) WaitIdle(ctx context.Context) error {
	return s.Wait(ctx, func() bool { return s.out.waitingCount() == 0 })
}

func (s *Sim) note(e Entry) {
	s.journal.add(e, func(e *Entry, n int64) { e.Seq = n })
	s.waiting.wake()
}

func (s *Sim) noteDelivery(d Delivery) {
	s.sent.add(d, func(d *Delivery, n int64) { d.Seq = n })
	s.waiting.wake()
}
