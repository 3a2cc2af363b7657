package cxsim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// Effect is what a fault does.
type Effect string

// Effects on requests. Before means that the call is not carried out; the others carry it out.
const (
	EffectStatus       Effect = "status"        // not carried out; Status, RetryAfter and Body are answered
	EffectUnauthorized Effect = "unauthorized"  // not carried out; 401
	EffectCloseBefore  Effect = "close-before"  // not carried out; the connection is closed without an answer
	EffectResetBefore  Effect = "reset-before"  // not carried out; the connection is reset
	EffectHangBefore   Effect = "hang-before"   // not carried out; no answer until the client gives up
	EffectLost         Effect = "lost"          // carried out; Status (500 when zero) is answered instead
	EffectClose        Effect = "close"         // carried out; the connection is closed without an answer
	EffectReset        Effect = "reset"         // carried out; the connection is reset
	EffectHang         Effect = "hang"          // carried out; no answer until the client gives up
	EffectCut          Effect = "cut"           // carried out; the answer ends in its middle
	EffectWebhookFirst Effect = "webhook-first" // carried out; answered when its events have been delivered
)

// Effects on requests and on deliveries alike.
const (
	EffectDelay     Effect = "delay"     // Delay passes first; goes together with a second rule
	EffectMalformed Effect = "malformed" // a body that is not JSON
	EffectEmpty     Effect = "empty"     // no body
	EffectOversized Effect = "oversized" // a body of more than Size bytes (16 MiB when zero)
)

// Effects on deliveries.
const (
	EffectDrop           Effect = "drop"             // never sent
	EffectDuplicate      Effect = "duplicate"        // sent Copies times more (once when zero) with the same delivery id
	EffectDuplicateNewID Effect = "duplicate-new-id" // the same with a delivery id of its own
	EffectReorder        Effect = "reorder"          // sent after the next one of the conversation, or after Delay if set
	EffectWrongSignature Effect = "wrong-signature"
	EffectNoSignature    Effect = "no-signature"
	EffectStaleSignature Effect = "stale-signature" // right, but of an hour ago
	EffectUnknownEvent   Effect = "unknown-event"   // the event has a name that nobody knows
)

func requestEffects() []Effect {
	return []Effect{EffectStatus, EffectUnauthorized, EffectCloseBefore, EffectResetBefore, EffectHangBefore, EffectLost,
		EffectClose, EffectReset, EffectHang, EffectCut, EffectWebhookFirst, EffectDelay, EffectMalformed, EffectEmpty,
		EffectOversized}
}

func deliveryEffects() []Effect {
	return []Effect{EffectDelay, EffectMalformed, EffectEmpty, EffectOversized, EffectDrop, EffectDuplicate,
		EffectDuplicateNewID, EffectReorder, EffectWrongSignature, EffectNoSignature, EffectStaleSignature,
		EffectUnknownEvent}
}

// Fault is a rule: what it meets, how often, and what happens then. Rules are looked at in the order in which they were
// set; delays add up, and of the other effects the first applies.
type Fault struct {
	Name string `json:"name,omitempty"` // shown in the journal in place of the effect

	// Op is the operation that is met. Empty means every operation of the API but not the token server; OpDelivery
	// means what the simulator sends.
	Op           Operation `json:"op,omitempty"`
	Tenant       string    `json:"tenant,omitempty"`       // empty means any
	Conversation int64     `json:"conversation,omitempty"` // zero means any
	Contains     string    `json:"contains,omitempty"`     // text that the body of a request must have
	Event        string    `json:"event,omitempty"`        // of a delivery; empty means any
	Channel      Channel   `json:"channel,omitempty"`      // of a delivery; empty means any

	Skip        int     `json:"skip,omitempty"`        // so many are let through first
	Times       int     `json:"times,omitempty"`       // zero means always
	Probability float64 `json:"probability,omitempty"` // zero means always; decided by the simulator's seed

	Effect     Effect        `json:"effect"`
	Status     int           `json:"status,omitempty"`      // of EffectStatus (503 when zero) and EffectLost (500 when zero)
	RetryAfter string        `json:"retry_after,omitempty"` // header of the answer, seconds or a date
	Body       string        `json:"body,omitempty"`        // of the answer
	Delay      time.Duration `json:"-"`
	Copies     int           `json:"copies,omitempty"`
	Size       int           `json:"size,omitempty"` // bytes
}

func (f Fault) label() string {
	if f.Name != "" {
		return f.Name
	}
	return string(f.Effect)
}

func (f Fault) check() error {
	known := requestEffects()
	if f.Op == OpDelivery {
		known = deliveryEffects()
	}
	if !slices.Contains(known, f.Effect) {
		return fmt.Errorf("fault: effect %q for operation %q: not one of %v", f.Effect, f.Op, known)
	}
	if f.Probability < 0 || f.Probability > 1 {
		return fmt.Errorf("fault: probability %v: not between 0 and 1", f.Probability)
	}
	if f.Effect == EffectStatus && f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return fmt.Errorf("fault: status %d: not between 200 and 599", f.Status)
	}
	return nil
}

// occasion is what a rule is held against.
type occasion struct {
	op           Operation
	tenant       string
	conversation int64
	body         []byte
	event        string
	channel      Channel
}

func (f Fault) meets(o occasion) bool {
	if f.Op == "" && (o.op == OpDelivery || o.op == OpToken) || f.Op != "" && f.Op != o.op {
		return false
	}
	return (f.Tenant == "" || f.Tenant == o.tenant) &&
		(f.Conversation == 0 || f.Conversation == o.conversation) &&
		(f.Event == "" || f.Event == o.event) &&
		(f.Channel == "" || f.Channel == o.channel) &&
		(f.Contains == "" || strings.Contains(string(o.body), f.Contains))
}

type rule struct {
	Fault
	met, applied int
	chance       *rand.Rand
}

// due counts the occasion and tells whether the rule applies to it.
func (r *rule) due() bool {
	if r.Times > 0 && r.applied >= r.Times {
		return false
	}
	r.met++
	if r.met <= r.Skip {
		return false
	}
	if r.Probability > 0 && r.chance.Float64() >= r.Probability {
		return false
	}
	r.applied++
	return true
}

type faults struct {
	mu    sync.Mutex
	seed  uint64
	added uint64
	rules []*rule
}

// verdict is what happens to one request or delivery.
type verdict struct {
	delay time.Duration
	Fault // the zero value: nothing
	label string
}

func (f *faults) judge(o occasion) verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	var v verdict
	for _, r := range f.rules {
		if !r.meets(o) || v.Effect != "" && r.Effect != EffectDelay || !r.due() {
			continue
		}
		if v.label != "" {
			v.label += "+"
		}
		v.label += r.label()
		if r.Effect != EffectReorder { // its delay is how long it waits for the next one
			v.delay += r.Delay
		}
		if r.Effect != EffectDelay {
			v.Fault = r.Fault
		}
	}
	return v
}

// Fault sets a rule. It panics when the rule has an effect that its operation cannot have.
func (s *Sim) Fault(f Fault) {
	if err := f.check(); err != nil {
		panic(err)
	}
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.added++
	chance := rand.New(rand.NewPCG(s.faults.seed, s.faults.added))
	s.faults.rules = append(s.faults.rules, &rule{Fault: f, chance: chance})
}

// Faults lists the rules that are set, also those that have been used up.
func (s *Sim) Faults() []Fault {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	all := make([]Fault, 0, len(s.faults.rules))
	for _, r := range s.faults.rules {
		all = append(all, r.Fault)
	}
	return all
}

// ClearFaults takes all rules away. What they have begun (a delay, a hanging answer) goes on.
func (s *Sim) ClearFaults() {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	s.faults.rules = nil
}
