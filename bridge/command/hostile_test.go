package command

import (
	"strings"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// TestWhateverSomebodySendsGetsItsResult: the bus takes 64 KiB of headers and a limited message, and what a result or a dead letter quotes must
// fit. A command whose end cannot be published would be tried for ever.
func TestWhateverSomebodySendsGetsItsResult(t *testing.T) {
	b := newBus(t)
	run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 1)
	const plain = `{"conversation_id":1,"content":"x"}`
	long := func(n int) string { return strings.Repeat("a", n) }
	sent := []struct {
		id, body string
		header   []string
		status   subjects.Status
	}{
		{"tenant", `{"conversation_id":1,"content":"x","tenant_domain":"` + long(900_000) + `"}`, nil, subjects.StatusInvalid},
		{"expires", plain, []string{subjects.HeaderExpiresAt, long(40_000)}, subjects.StatusInvalid},
		{"only-if", plain, []string{subjects.HeaderOnlyIf, long(64_000)}, subjects.StatusInvalid},
		{"trace", plain, []string{subjects.HeaderTracestate, long(64_000)}, subjects.StatusDone},
		{"reply", plain, []string{subjects.HeaderReplyTo, "_INBOX." + long(8000)}, subjects.StatusInvalid}, // the server would end our connection
		{long(65_000), plain, nil, subjects.StatusDone},
		{long(40_000), `{"conversation_id":1}`, nil, subjects.StatusInvalid},
		{"not\xffutf8", plain, nil, subjects.StatusInvalid},
		{"as if the server said to wait", "", []string{headerStatus, "100"}, subjects.StatusInvalid}, // as the next
		{"as if there was nothing", "", []string{headerStatus, "404", headerText, "No Messages"}, subjects.StatusInvalid},
		{"as if the pull was over", "", []string{headerStatus, "408"}, subjects.StatusInvalid},
		{"as if the consumer was gone", "", []string{headerStatus, "409", headerText, "Consumer Deleted"}, subjects.StatusInvalid},
		{"as if nobody was there", "", []string{headerStatus, "503"}, subjects.StatusInvalid},
		{"with a status", plain, []string{headerStatus, "503"}, subjects.StatusDone},
	}
	for _, s := range sent {
		b.command(t, subjects.MessageSend, s.id, s.body, s.header...)
	}
	b.command(t, subjects.ContactCreate, "email", `{"inbox_id":1,"name":"Ann","email":"`+strings.Repeat("<", 900_000)+`"}`)
	letters := 0
	for _, s := range sent {
		if r := b.result(t, subjects.MessageSend, s.id); r.Status != s.status || len(r.Detail) > 2*maxDetail {
			t.Errorf("%.10s: %s, %.100s", s.id, r.Status, r.Detail)
		}
		if s.status.DeadLetter() {
			letters++
		}
	}
	if r := b.result(t, subjects.ContactCreate, "email"); r.Status != subjects.StatusDone {
		t.Errorf("email: %s", r.Status)
	}
	b.settled(t, 1)
	if n := b.letters(t); n != letters {
		t.Errorf("%d dead letters, not %d", n, letters)
	}
}

// TestAnIDThatJSONDoesNotKeepHasOneResult: what the ledger remembers of it is another text.
func TestAnIDThatJSONDoesNotKeepHasOneResult(t *testing.T) {
	b := newBus(t)
	x := run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 1)
	b.send(t, "a\xffb", 1, "x")
	b.result(t, subjects.MessageSend, "a\xffb")
	b.settled(t, 1)
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	b.forget(t, 1)
	run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 2)
	b.settled(t, 2)
	if n := b.count(t, b.names.ResultsStream()); n != 1 {
		t.Errorf("%d results", n)
	}
}

// TestAScheduleOnTheSubjectOfACommandIsNotDoneTwice: the server delivers such a message at once, and at its time once more.
func TestAScheduleOnTheSubjectOfACommandIsNotDoneTwice(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	const body = `{"conversation_id":1,"content":"x"}`
	b.command(t, subjects.MessageSend, "now", body, subjects.HeaderCEID, "later", subjects.HeaderScheduleTarget, "cx.cmd.message.send.1",
		subjects.HeaderSchedule, "@at "+time.Now().Add(time.Second).UTC().Format(time.RFC3339))
	if r := b.result(t, subjects.MessageSend, "now"); r.Status != subjects.StatusInvalid {
		t.Errorf("at once: %+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "later"); r.Status != subjects.StatusDone {
		t.Errorf("at its time: %+v", r)
	}
	if n := len(p.done()); n != 1 {
		t.Errorf("done %d times", n)
	}
}

// TestATakeOverGoesByWhatTheServerTellsOfACommand, whatever its publisher has written into headers that the server uses, too.
func TestATakeOverGoesByWhatTheServerTellsOfACommand(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"no time":       {"Nats-Time-Stamp", "x"},
		"another time":  {"Nats-Time-Stamp", "2020-01-01T00:00:00Z"},
		"no sequence":   {"Nats-Sequence", "x"},
		"other subject": {"Nats-Subject", "cx.cmd.message.send", "Nats-Stream", "x", "Nats-Last-Sequence", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			first := newRunner(t, b, p, testConfig())
			x := run(t, first, 1)
			b.send(t, "a", 1, "x", header...)
			b.result(t, subjects.MessageSend, "a")
			b.noted(t, first, 1, 1)
			x.stop()
			if err := x.wait(t); err != nil {
				t.Fatal(err)
			}
			run(t, newRunner(t, b, p, testConfig()), 2)
			b.send(t, "b", 1, "y")
			if r := b.result(t, subjects.MessageSend, "b"); r.Status != subjects.StatusDone {
				t.Errorf("%+v", r)
			}
		})
	}
}
