package cxsim

import (
	"bytes"
	"context"
	"fmt"
	"time"
)

// Scenario is what happens by itself: faults from the start, and steps one after the other. [ParseScenario] reads it
// from JSON.
type Scenario struct {
	faults []Fault
	steps  []step
}

// step is one thing that happens; exactly one of its members is set.
type step struct {
	Wait     string           `json:"wait,omitempty"` // a duration
	Customer *customerRequest `json:"customer,omitempty"`
	Agent    *agentRequest    `json:"agent,omitempty"`
	Fault    *wireFault       `json:"fault,omitempty"`
	Until    *until           `json:"until,omitempty"`

	wait time.Duration
}

// until is a state that is waited for.
type until struct {
	Tenant         string `json:"tenant"`
	ConversationID int64  `json:"conversation_id"`
	Status         string `json:"status"`     // of the conversation
	WithHuman      bool   `json:"with_human"` // it was delivered to an agent
	Outgoing       int    `json:"outgoing"`   // so many messages to the customer at least
	Receivers      int    `json:"receivers"`  // so many webhooks and assigned agent bots at least
	Delivered      bool   `json:"delivered"`  // no event waits to be delivered
	Within         string `json:"within"`     // a duration, after which the scenario fails; without it, any time

	within time.Duration
}

// ParseScenario reads a scenario: an object with "faults", as POST /_sim/faults takes them, and "steps", each of which
// is {"wait": "2s"}, {"customer": …} and {"agent": …} as POST /_sim/customer and /_sim/agent take them, {"fault": …},
// or {"until": {"conversation_id": 1, "status": "open", "with_human": true, "outgoing": 2, "receivers": 1, "delivered": true,
// "within": "30s"}}, of which each member may be left out. Errors name the step.
func ParseScenario(text []byte) (Scenario, error) {
	var read struct {
		Faults []wireFault `json:"faults"`
		Steps  []step      `json:"steps"`
	}
	if err := decodeOne(bytes.NewReader(text), &read); err != nil {
		return Scenario{}, fmt.Errorf("scenario: %w", err)
	}
	var scenario Scenario
	for i := range read.Faults {
		if err := read.Faults[i].resolve(); err != nil {
			return Scenario{}, fmt.Errorf("scenario: faults[%d]: %w", i, err)
		}
		scenario.faults = append(scenario.faults, read.Faults[i].Fault)
	}
	for i := range read.Steps {
		if err := read.Steps[i].resolve(); err != nil {
			return Scenario{}, fmt.Errorf("scenario: steps[%d]: %w", i, err)
		}
	}
	scenario.steps = read.Steps
	return scenario, nil
}

// resolve reads the durations and checks the step.
func (s *step) resolve() error {
	set := 0
	for _, is := range []bool{s.Wait != "", s.Customer != nil, s.Agent != nil, s.Fault != nil, s.Until != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("has %d of wait, customer, agent, fault and until: exactly one is needed", set)
	}
	if s.Fault != nil {
		return s.Fault.resolve()
	}
	if s.Until != nil && s.Until.Within != "" {
		return s.Until.resolve()
	}
	if s.Wait == "" {
		return nil
	}
	wait, err := time.ParseDuration(s.Wait)
	s.wait = wait
	return err
}

func (u *until) resolve() (err error) {
	if u.within, err = time.ParseDuration(u.Within); err == nil && u.within <= 0 {
		err = fmt.Errorf("within %s: not more than nothing", u.Within)
	}
	return err
}

// Play plays a scenario to its end. Faults stay set afterwards. The error names the step that could not be done; it is
// the context's when that ends first.
func (s *Sim) Play(ctx context.Context, scenario Scenario) error {
	for _, f := range scenario.faults {
		s.Fault(f)
	}
	for i, next := range scenario.steps {
		if err := s.play(ctx, next); err != nil {
			return fmt.Errorf("scenario: steps[%d]: %w", i, err)
		}
	}
	return nil
}

func (s *Sim) play(ctx context.Context, next step) error {
	switch {
	case next.Customer != nil:
		_, err := s.customer(*next.Customer)
		return err
	case next.Agent != nil:
		_, err := s.agentDoes(*next.Agent)
		return err
	case next.Fault != nil:
		s.Fault(next.Fault.Fault)
		return nil
	case next.Until != nil:
		return s.playUntil(ctx, *next.Until)
	}
	s.pause(ctx, next.wait)
	return context.Cause(ctx)
}

func (s *Sim) playUntil(ctx context.Context, u until) error {
	t, err := s.tenantOf(u.Tenant)
	if err != nil {
		return err
	}
	if u.within > 0 {
		var cancel context.CancelFunc
		late := fmt.Errorf("it has not come to this within %s", u.within)
		ctx, cancel = context.WithTimeoutCause(ctx, u.within, late)
		defer cancel()
	}
	return s.Wait(ctx, func() bool { return u.holds(t) })
}

// holds tells whether it has come to this.
func (u *until) holds(t *Tenant) bool {
	if t.receivers() < u.Receivers || u.Delivered && t.sim.WaitingDeliveries() > 0 {
		return false
	}
	if u.ConversationID == 0 {
		return true
	}
	c, err := t.Conversation(u.ConversationID)
	if err != nil {
		return false // it may still come
	}
	sent := 0
	for _, m := range c.Messages {
		if m.Type == outgoing && !m.Private {
			sent++
		}
	}
	return (u.Status == "" || c.Status == u.Status) && (!u.WithHuman || c.WithHuman) && sent >= u.Outgoing
}
