package test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

const (
	callersTrace  = "4bf92f3577b34da6a3ce929d0e0e4736"
	callersSpan   = "00f067aa0ba902b7"
	callersParent = "00-" + callersTrace + "-" + callersSpan + "-01"
)

// TestOneTraceConnectsAWebhookToTheCallOfTheBotsAnswer plays the whole story: the vendor's webhook, the event, a bot that does nothing but copy
// the event's traceparent to its command, the call of the API, and the result.
func TestOneTraceConnectsAWebhookToTheCallOfTheBotsAnswer(t *testing.T) {
	w := newWorld(t, cxsim.Options{})
	c := w.trace()
	id := w.conversation("ann")
	r := w.begin()
	b := r.bot()
	conversation := strconv.FormatInt(id, 10)

	body := `{"event":"message_created","id":31337,"content":"secret-of-ann","message_type":"incoming","conversation":{"id":` + conversation +
		`},"inbox":{"id":3},"sender":{"type":"contact","name":"Ann Name","email":"ann@example.test"}}`
	a := request(t, http.MethodPost, r.url(pathToken), strings.NewReader(body), "traceparent", callersParent, "tracestate", "vendor=1")
	if a.status != http.StatusOK {
		t.Fatalf("webhook: %d %s", a.status, a.body)
	}
	event := b.events(1)[0]
	b.say("answer", id, "answer-to-ann", "traceparent", event.Header.Get("traceparent"), "tracestate", event.Header.Get("tracestate"))
	b.said("answer", "done", "")
	result := b.got["cx.result.message.send.answer"]
	r.stop()
	c.flush()

	received := c.one(callersTrace, "POST /webhooks/{token}")
	published := c.one(callersTrace, "publish cx.message.created")
	command := c.one(callersTrace, "process cx.cmd.message.send")
	called := c.one(callersTrace, "POST "+w.sim.Journal().Calls(cxsim.OpSendMessage)[0].Path)
	answered := c.one(callersTrace, "publish cx.result.message.send.{command}")
	for _, step := range []struct {
		span         span
		kind, parent string
	}{
		{received, "SERVER", callersSpan},
		{published, "PRODUCER", received.id},
		{command, "CONSUMER", published.id},
		{called, "CLIENT", command.id},
		{answered, "PRODUCER", command.id},
	} {
		if step.span.kind != step.kind || step.span.parent != step.parent || step.span.status == otlp.Status_STATUS_CODE_ERROR {
			t.Errorf("%s: kind %s, parent %s, status %s; want %s, %s", step.span.name, step.span.kind, step.span.parent, step.span.status, step.kind, step.parent)
		}
	}
	if n := len(c.all(callersTrace)); n != 5 {
		t.Errorf("the trace has %d spans: %v", n, c.all(callersTrace))
	}
	for what, got := range map[string][2]string{
		"event":    {event.Header.Get("traceparent"), published.context()},
		"API call": {w.sim.Journal().Calls(cxsim.OpSendMessage)[0].Header["Traceparent"], called.context()},
		"result":   {result.Header.Get("traceparent"), answered.context()},
		"state":    {w.sim.Journal().Calls(cxsim.OpSendMessage)[0].Header["Tracestate"], "vendor=1"},
	} {
		if got[0] != got[1] {
			t.Errorf("%s: the context is %q; want %q", what, got[0], got[1])
		}
	}

	received.says(t, map[string]string{
		"http.request.method": "POST", "http.route": "/webhooks/{token}", "url.path": "/webhooks/REDACTED", "url.scheme": "http", "http.response.status_code": "200",
	})
	published.says(t, map[string]string{
		"messaging.system": "nats", "messaging.operation.name": "publish", "messaging.operation.type": "send", "messaging.destination.name": "cx.message.created",
		"messaging.message.id": event.Header.Get("Nats-Msg-Id"), "messaging.message.conversation_id": conversation, "cxbridge.outcome": "stored",
	})
	command.says(t, map[string]string{
		"messaging.system": "nats", "messaging.operation.type": "process", "messaging.destination.name": "cx.cmd.message.send", "messaging.message.id": "answer",
		"messaging.message.conversation_id": conversation, "cxbridge.status": "done", "cxbridge.attempts": "1",
	})
	called.says(t, map[string]string{"http.request.method": "POST", "http.response.status_code": "200"})
	answered.says(t, map[string]string{"messaging.destination.name": "cx.result.message.send.answer", "messaging.operation.type": "send"})
	if c.resource["service.name"] != "cxbridge" || c.resource["service.version"] != "v1.2.3" {
		t.Errorf("resource %v", c.resource)
	}
}

// TestATraceTellsWhatDelayedACommand wants the retries and the search for the echo of lost answers in the span of the command, and each attempt
// as a call of its own.
func TestATraceTellsWhatDelayedACommand(t *testing.T) {
	w := newWorld(t, cxsim.Options{})
	c := w.trace()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable, Times: 2})
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectReset, Times: 1})
	r := w.start()
	b := r.bot()
	b.say("slow", id, "hello", "traceparent", callersParent)
	b.said("slow", "done", "")
	b.command("conversation.handoff", "nonsense", "{}", "traceparent", callersParent)
	if got := b.wait("conversation.handoff", "nonsense"); got.Status != "invalid" {
		t.Errorf("status %s", got.Status)
	}
	r.stop()
	c.flush()

	command := c.one(callersTrace, "process cx.cmd.message.send")
	calls, failed := 0, 0
	for _, s := range c.all(callersTrace) {
		if s.kind != "CLIENT" {
			continue
		}
		calls++
		if s.parent != command.id {
			t.Errorf("a call is a child of %s; want %s", s.parent, command.id)
		}
		if s.status == otlp.Status_STATUS_CODE_ERROR {
			failed++
		}
	}
	if calls != 3 || failed != 3 {
		t.Errorf("%d calls, of which %d failed; want 3", calls, failed)
	}
	retries := slices.DeleteFunc(slices.Clone(command.events), func(e string) bool { return e != "retry" })
	if len(retries) != 2 || !slices.Contains(command.events, "search for the echo") || !slices.Contains(command.events, "echo found") {
		t.Errorf("events %q", command.events)
	}
	command.says(t, map[string]string{"cxbridge.attempts": "3", "cxbridge.status": "done", "event retry cxbridge.reason": "unavailable"})
	nonsense := c.one(callersTrace, "process cx.cmd.conversation.handoff")
	if nonsense.status != otlp.Status_STATUS_CODE_ERROR || nonsense.attributes["error.type"] != "malformed" {
		t.Errorf("the span of a malformed command: %v", nonsense)
	}
}

// TestTheSpanOfACommandEndsWhenTheBridgeGivesItUp stops a bridge while a command is being retried; the next one carries on in the same trace.
func TestTheSpanOfACommandEndsWhenTheBridgeGivesItUp(t *testing.T) {
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Commands.RetryInitial, c.Commands.RetryMax = patience, patience })
	c := w.trace()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable, Times: 1})
	first := w.start()
	first.bot().say("handed", id, "hello", "traceparent", callersParent)
	w.called("the first attempt", func(j cxsim.Journal) bool { return len(j.Calls(cxsim.OpSendMessage)) == 1 })
	first.stop()
	second := w.start()
	b := second.bot()
	natstest.Eventually(t, "the result", func() bool { return b.count("CX_RESULTS") == 1 })
	second.stop()
	c.flush()
	var left, done int
	for _, s := range c.all(callersTrace) {
		switch {
		case s.name != "process cx.cmd.message.send":
		case s.parent != callersSpan:
			t.Errorf("parent %s", s.parent)
		case slices.Contains(s.events, "left to the next term"):
			left++
		case s.attributes["cxbridge.status"] == "done":
			done++
		}
	}
	if left != 1 || done != 1 {
		t.Errorf("%d spans were left, %d done; want one each: %v", left, done, c.all(callersTrace))
	}
}

// TestATraceGoesOnThroughTheSpool wants an event that waited on disk to carry the context that it was received with.
func TestATraceGoesOnThroughTheSpool(t *testing.T) {
	w := newWorld(t, cxsim.Options{}).external()
	c := w.trace()
	r := w.begin()
	w.bus.Stop()
	a := request(t, http.MethodPost, r.url(pathToken), strings.NewReader(customerMessage), "traceparent", callersParent)
	if a.status != http.StatusOK {
		t.Fatalf("webhook: %d %s", a.status, a.body)
	}
	w.bus.Restart(t)
	b := newBot(t, w.bus.URL)
	var event *jetstream.RawStreamMsg
	natstest.Eventually(t, "the event", func() bool { return b.count("CX_EVENTS") == 1 })
	event = b.stored("CX_EVENTS")[0]
	r.stop()
	c.flush()
	published, drained := c.one(callersTrace, "publish cx.message.created"), c.one(callersTrace, "drain cx.message.created")
	if got := event.Header.Get("traceparent"); got != published.context() || drained.parent != published.id || published.attributes["cxbridge.outcome"] != "spooled" {
		t.Errorf("the event has the context %s; published %v, drained %v", got, published, drained)
	}
}

// TestStrangersMakeNoSpans wants a request that is not admitted, and a trace that is not sampled, to export nothing.
func TestStrangersMakeNoSpans(t *testing.T) {
	w := newWorld(t, cxsim.Options{})
	c := w.trace("OTEL_TRACES_SAMPLER", "parentbased_always_off")
	r := w.begin()
	if a := request(t, http.MethodPost, r.url("wrong-token"), strings.NewReader(customerMessage), "traceparent", callersParent); a.status != http.StatusUnauthorized {
		t.Errorf("status %d", a.status)
	}
	r.post(pathToken, customerMessage)
	b := r.bot()
	unsampled := b.events(1)[0].Header.Get("traceparent")
	if !strings.HasSuffix(unsampled, "-00") {
		t.Errorf("the context of a trace that is not sampled is %q", unsampled)
	}
	r.stop()
	c.flush()
	if all := c.all(""); len(all) != 0 {
		t.Errorf("spans %v", all)
	}
}
