package cxsim

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestAScenario(t *testing.T) {
	s := start(t, Options{})
	scenario, err := ParseScenario([]byte(`{
		"faults": [{"op": "inbox.list", "effect": "status", "status": 503, "times": 1}],
		"steps": [
			{"customer": {"name": "Ann", "email": "ann@example.test", "text": "hi"}},
			{"wait": "1ms"},
			{"until": {"conversation_id": 1, "outgoing": 1}},
			{"customer": {"conversation_id": 1, "text": "agent"}},
			{"until": {"conversation_id": 1, "status": "open", "with_human": true}},
			{"fault": {"op": "message.send", "effect": "delay", "delay": "1ms"}},
			{"agent": {"conversation_id": 1, "action": "say", "text": "I am Bo"}},
			{"agent": {"conversation_id": 1, "action": "resolve"}}
		]}`))
	must(t, err)
	played := make(chan error, 1)
	go func() { played <- s.Play(within(t), scenario) }()
	has := func(text string) {
		t.Helper()
		must(t, s.Wait(within(t), func() bool {
			all := s.Messages(1)
			return len(all) > 0 && all[len(all)-1].Content == text
		}))
	}
	has("hi")
	call(t, s, "messages/", `{`+tenantMember+`,"conversation_id":1,"content":"hello"}`)
	has("agent")
	call(t, s, "conversations/deliver-to-agent/", `{`+tenantMember+`,"conversation_id":1}`)
	must(t, <-played)
	c, err := s.Conversation(1)
	if err != nil || c.Status != statusResolved || len(s.Faults()) != 2 {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestAScenarioWaitsForReceiversAndDeliveries(t *testing.T) {
	s := start(t, Options{})
	hook := receive(t, nil)
	scenario, err := ParseScenario([]byte(`{"steps": [
		{"until": {"receivers": 3}},
		{"customer": {"name": "Ann", "email": "ann@example.test", "text": "hi", "inbox_id": 1}},
		{"until": {"delivered": true, "within": "2m"}}
	]}`))
	must(t, err)
	played := make(chan error, 1)
	go func() { played <- s.Play(within(t), scenario) }()
	s.AttachBot(2, "b", hook.URL)
	call(t, s, "webhooks/", `{`+tenantMember+`,"url":"`+hook.URL+`","subscriptions":["message_created"]}`)
	if a := at(t, s, "POST", "webhooks", `{"url":"`+hook.URL+`","inbox_id":1}`); a.status != 200 {
		t.Errorf("%+v", a)
	}
	must(t, <-played)
	if n := len(hook.all()); n != 5 {
		t.Errorf("%d events; want one of the webhook and four of the inbox", n)
	}
}

func TestAScenarioFailsWhenItDoesNotComeToSomething(t *testing.T) {
	s := start(t, Options{})
	scenario, err := ParseScenario([]byte(`{"steps": [{"until": {"conversation_id": 1, "within": "1ms"}}]}`))
	must(t, err)
	if err := s.Play(within(t), scenario); err == nil || err.Error() != "scenario: steps[0]: it has not come to this within 1ms" {
		t.Error(err)
	}
}

func TestScenariosThatCannotBe(t *testing.T) {
	for text, says := range map[string]string{
		`{`:                            "scenario",
		`{} {}`:                        "follows",
		`{"step":1}`:                   "step",
		`{"steps":[{"wait":"1s"},{}]}`: "steps[1]",
		`{"steps":[{"wait":"long"}]}`:  "long",
		`{"steps":[{"wait":"1s","customer":{}}]}`:                                            "exactly one",
		`{"steps":[{"until":{"within":"-1s"}}]}`:                                             "steps[0]",
		`{"faults":[{"effect":"x"}]}`:                                                        "faults[0]",
		`{"faults":[{"effect":"delay","delay":"x"}]}`:                                        "faults[0]",
		`{"steps":[{"fault":{"op":"delivery","effect":"lost"}}]}`:                            "lost",
		`{"steps":[{"agent":{"conversation_id":1,"action":"say","nonsense":"x","text":1}}]}`: "nonsense",
	} {
		if _, err := ParseScenario([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
	s := New(Options{})
	defer s.Close()
	for _, text := range []string{
		`{"steps":[{"agent":{"conversation_id":1,"action":"say","text":"x"}}]}`,
		`{"steps":[{"customer":{"conversation_id":1,"text":"x"}}]}`,
		`{"steps":[{"until":{"tenant":"x"}}]}`,
	} {
		scenario, err := ParseScenario([]byte(text))
		must(t, err)
		if err := s.Play(within(t), scenario); err == nil || !strings.Contains(err.Error(), "steps[0]") {
			t.Errorf("%s: %v", text, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for _, text := range []string{`{"steps":[{"wait":"1h"}]}`, `{"steps":[{"until":{"conversation_id":1}}]}`} {
		scenario, err := ParseScenario([]byte(text))
		must(t, err)
		if err := s.Play(ended, scenario); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
