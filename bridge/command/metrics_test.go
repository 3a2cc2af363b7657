package command

import (
	"log/slog"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// figures returns the figures of a registry by name and values of labels; of a histogram its count.
func figures(t *testing.T, registry prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			found[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return found
}

// TestWhatCommandsCameToIsCounted holds as well that every series is there before anything happens.
func TestWhatCommandsCameToIsCounted(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, content string, try int) behaviour {
		switch {
		case content == "gone":
			return behaviour{refuse: errNotFound}
		case content == "busy" && try == 1:
			return behaviour{refuse: errUnavailable}
		case content == "lost":
			return behaviour{lose: errLost}
		}
		return behaviour{}
	}
	registry, log := prometheus.NewPedanticRegistry(), slog.New(slog.DiscardHandler)
	r, err := New(testConfig(), Deps{
		Names: b.names, Tenant: testTenant, JetStream: b.js, Conn: b.conn, Ledger: ledger.New(b.js, b.names, log), API: p,
		Bucket: b.bucket, Contacts: NewKVContacts(b.kv, testTenant), Log: log, Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	before := figures(t, registry)
	x := run(t, r, 1)
	for i, content := range []string{"fine", "gone", "busy", "lost"} {
		b.send(t, content, i+1, content)
		b.result(t, subjects.MessageSend, content)
	}
	b.command(t, subjects.MessageSend, "malformed", `{"conversation_id":1}`)
	b.command(t, "message.sing", "made up", `{}`)
	b.settled(t, 1)
	x.crash(t)
	run(t, r, 2)
	if err := r.ReadBacklog(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := figures(t, registry)
	for name, want := range map[string]float64{
		"cxbridge_commands_total message.send  done": 3, "cxbridge_commands_total message.send not_found refused": 1,
		"cxbridge_commands_total message.send malformed invalid": 1, "cxbridge_commands_total unknown malformed invalid": 1,
		"cxbridge_command_first_call_seconds message.send": 4, "cxbridge_command_result_seconds message.send": 5,
		"cxbridge_command_attempts message.send": 5, "cxbridge_api_calls_total message.send 200": 2,
		"cxbridge_api_calls_total message.send 404": 1, "cxbridge_api_calls_total message.send 503": 1, "cxbridge_api_calls_total message.send 500": 1,
		"cxbridge_api_call_failures_total answer lost": 1, "cxbridge_api_call_seconds message.send": 5, "cxbridge_command_doubts_total echo": 1,
		"cxbridge_command_terms_total": 2, "cxbridge_api_circuit_state closed": 1, "cxbridge_commands_waiting": 0,
	} {
		if got, there := after[name]; got != want || !there {
			t.Errorf("%s is %v (%v), want %v", name, got, there, want)
		}
	}
	for name := range after {
		if _, there := before[name]; !there && name != "cxbridge_commands_waiting" && name != "cxbridge_commands_unacknowledged" {
			t.Errorf("%s was not there from the beginning", name)
		}
	}
}

func TestACommandThatComesAgainIsCountedAsADuplicateThatWasAvoided(t *testing.T) {
	b := newBus(t)
	registry, log := prometheus.NewPedanticRegistry(), slog.New(slog.DiscardHandler)
	r, err := New(testConfig(), Deps{
		Names: b.names, Tenant: testTenant, JetStream: b.js, Conn: b.conn, Ledger: ledger.New(b.js, b.names, log), API: newPlatform(t, b),
		Bucket: b.bucket, Contacts: NewKVContacts(b.kv, testTenant), Log: log, Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, r, 1)
	for range 2 {
		b.command(t, subjects.MessageSend, "", `{"conversation_id":1,"content":"once"}`, subjects.HeaderCEID, "the same id")
		b.settled(t, 1)
	}
	natstest.Eventually(t, "for the duplicate to be counted", func() bool { return figures(t, registry)["cxbridge_command_duplicates_total"] == 1 })
	if done := figures(t, registry)["cxbridge_commands_total message.send  done"]; done != 1 {
		t.Errorf("%v commands were done", done)
	}
}
