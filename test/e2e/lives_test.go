//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// life is what a command goes through, step by step, while nothing dies.
type life struct {
	name    string
	kind    string
	steps   []string
	answers []int  // of the API to the calls, one after the other; 0: it carries them out
	ends    string // status of the result
	cutFrom string // the first step of interest; the earlier ones are those of another life
	header  map[string]string
	body    string // with ID, CONVERSATION, INBOX and CONTACT
	alone   bool   // no other commands follow in its lane
	free    bool   // others do not wait for it
}

const message = `{"conversation_id":CONVERSATION,"content":"ID first"}`

func lives() []life {
	plain := strings.Fields("claim call outcome result ack")
	return []life{
		{name: "send", kind: "message.send", steps: plain, ends: "done", body: message},
		{name: "start", kind: "conversation.start", steps: plain, ends: "done",
			body: `{"inbox_id":INBOX,"contact_id":CONTACT,"source_id":"ID@example.test","initial_message":"ID first"}`},
		{name: "handoff", kind: "conversation.handoff", steps: plain, ends: "done", body: `{"conversation_id":CONVERSATION}`},
		{name: "finish", kind: "conversation.finish", steps: plain, ends: "done", body: `{"conversation_id":CONVERSATION}`},
		{name: "refused", kind: "message.send", steps: strings.Fields("claim call outcome letter result ack"), answers: []int{http.StatusNotFound},
			cutFrom: "outcome", ends: "refused", body: message},
		{name: "tried again", kind: "message.send", steps: []string{"claim", "call", "release", "claim again", "call again", "outcome", "result", "ack"},
			answers: []int{http.StatusServiceUnavailable}, cutFrom: "release", ends: "done", body: message},
		{name: "start with a new contact", kind: "conversation.start",
			steps: []string{"claim", "call", "directory", "release", "claim again", "call again", "outcome", "result", "ack"}, ends: "done", alone: true,
			body: `{"inbox_id":INBOX,"contact":{"name":"Bea","email":"ID@new.test"},"initial_message":"ID first"}`},
		{name: "create contact", kind: "contact.create", steps: strings.Fields("claim call directory outcome result ack"), ends: "done", alone: true,
			body: `{"inbox_id":INBOX,"name":"Bea","email":"ID@new.test"}`},
		{name: "malformed", kind: "message.send", steps: strings.Fields("outcome letter result ack"), ends: "invalid", free: true,
			body: `{"conversation_id":CONVERSATION}`},
		{name: "expired", kind: "message.send", steps: strings.Fields("outcome result ack"), ends: "expired", body: message,
			header: map[string]string{"Cx-Expires-At": "2026-01-01T00:00:00Z"}},
	}
}

// cut is where a life ends: before a step has left the bridge, or after it has happened and before the bridge knows. After a call means that it was
// carried out and not answered.
type cut struct {
	step  string
	after bool
}

func (c cut) String() string {
	return map[bool]string{false: "before ", true: "after "}[c.after] + c.step
}

// happened are the steps of a life up to the cut.
func (c cut) happened(steps []string) []string {
	at := slices.Index(steps, c.step)
	if c.after {
		at++
	}
	return steps[:at]
}

// scenario is one command with the points at which its bridge is killed, and what has to come of it.
type scenario struct {
	life
	id   string
	cuts []cut // one for each bridge that is killed; the second may be of what follows the first
	echo bool  // the platform tells of what was carried out

	conversation int64
	contact      int64
}

func (s *scenario) String() string {
	name := s.life.name
	for _, c := range s.cuts {
		name += ", " + c.String()
	}
	if !s.echo {
		name += ", no echo"
	}
	return name
}

// doubt reports whether the first death leaves a claim without an end, and whether the call was carried out under it that makes the command
// done.
func (s *scenario) doubt() (open, carried bool) {
	calls := 0
	for _, step := range s.cuts[0].happened(s.steps) {
		switch step {
		case "claim", "claim again":
			open, carried = true, false
		case "call", "call again":
			calls++
			carried = calls > len(s.answers) && s.last(step)
		case "release", "outcome":
			open = false
		}
	}
	return open, carried
}

// last reports whether a step is the last call of the life.
func (s *scenario) last(step string) bool {
	return step == "call again" || step == "call" && !slices.Contains(s.steps, "call again")
}

// repeated reports whether the call may be made again.
func (s *scenario) repeated() bool {
	return s.kind == "conversation.handoff" || s.kind == "conversation.finish"
}

// status is how the command has to end.
func (s *scenario) status() string {
	open, carried := s.doubt()
	switch {
	case !open:
		return s.ends
	case s.repeated(), carried && s.echo && s.kind != "contact.create":
		return "done"
	}
	return "unknown"
}

// times is how often the command has to have been carried out in the end.
func (s *scenario) times() int {
	open, carried := s.doubt()
	switch {
	case !open && s.ends == "done", open && s.repeated() && !carried:
		return 1
	case open && s.repeated():
		return 2
	case open && carried:
		return 1
	}
	return 0
}

// after are the steps that follow the first death.
func (s *scenario) after() []string {
	if open, _ := s.doubt(); !open {
		return s.steps[len(s.cuts[0].happened(s.steps)):]
	}
	if s.status() == "unknown" {
		return strings.Fields("outcome letter result ack")
	}
	return strings.Fields("outcome result ack")
}

// trace is what of a command can be seen.
type trace struct {
	records, outcomes, letters, results int // the records are those of claims, or stand in their place
	carried                             int // calls that make the command done
}

// expected is what can be seen when the bridge is killed for the nth time.
func (s *scenario) expected(n int) trace {
	steps := s.cuts[0].happened(s.steps)
	if n > 0 {
		steps = slices.Concat(steps, s.cuts[1].happened(s.after()))
	}
	var seen trace
	calls := 0
	for _, step := range steps {
		switch step {
		case "claim", "release", "claim again":
			seen.records++
		case "call", "call again":
			if calls++; calls > len(s.answers) && s.last(step) {
				seen.carried++
			}
		case "outcome":
			if slices.Contains(s.steps, "claim") {
				seen.outcomes++
			} else {
				seen.records++
			}
		case "letter":
			seen.letters++
		case "result":
			seen.results++
		}
	}
	return seen
}

// waiting is how many of the command and the one that follows it are not acknowledged when the bridge is killed for the nth time.
func (s *scenario) waiting(n int) int {
	if n >= len(s.cuts) {
		return 0
	}
	c, waits := s.cuts[n], 0
	if c != (cut{"ack", true}) {
		waits++
	}
	if c.step != "ack" && !s.alone && !s.free {
		waits += 1 + n // the second one follows before the second bridge
	}
	return waits
}

// scenarios are all of them. Without an echo are those in which it makes a difference.
func scenarios() (all []*scenario) {
	add := func(l life, echo bool, cuts ...cut) {
		all = append(all, &scenario{life: l, id: fmt.Sprintf("c%03d", len(all)), cuts: cuts, echo: echo})
	}
	for _, l := range lives() {
		from := max(slices.Index(l.steps, l.cutFrom), 0)
		for _, step := range l.steps[from:] {
			for _, after := range []bool{false, true} {
				add(l, true, cut{step, after})
				if open, carried := all[len(all)-1].doubt(); open && carried && !all[len(all)-1].repeated() {
					add(l, false, cut{step, after})
				}
			}
		}
	}
	for _, l := range lives()[:2] {
		for _, echo := range []bool{true, false} {
			for _, first := range []cut{{"call", true}, {"outcome", true}} {
				s := scenario{life: l, cuts: []cut{first}, echo: echo}
				for _, step := range s.after() {
					add(l, echo, first, cut{step, false})
					add(l, echo, first, cut{step, true})
				}
			}
		}
	}
	return all
}
