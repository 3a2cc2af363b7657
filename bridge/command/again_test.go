package command

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// record returns what the ledger knows of a command.
func (b *bus) record(t *testing.T, id string) ledger.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	defer cancel()
	record, err := ledger.New(b.js, b.names, slog.New(slog.DiscardHandler)).Find(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// TestACommandThatWaitsForItsNextAttemptIsContinuedByAnotherBridge: a claim that was given back tells that nothing was carried out, and what was tried.
func TestACommandThatWaitsForItsNextAttemptIsContinuedByAnotherBridge(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	var up atomic.Bool
	p.behave = func(Operation, string, string, int) behaviour {
		if up.Load() {
			return behaviour{silent: true} // no echo could help
		}
		return behaviour{refuse: errUnavailable}
	}
	cfg := testConfig()
	cfg.RetryInitial, cfg.RetryMax, cfg.RetryFor = time.Hour, time.Hour, 24*time.Hour
	x := run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "a", 1, "x")
	natstest.Eventually(t, "for the claim to be given back", func() bool { return b.record(t, "a").Released > 0 })
	x.crash(t)
	up.Store(true)
	run(t, newRunner(t, b, p, cfg), 2)
	r := b.result(t, subjects.MessageSend, "a")
	if r.Status != subjects.StatusDone || r.Attempts != 2 {
		t.Errorf("%+v", r)
	}
	if h := b.record(t, "a").Outcome.History; len(h) != 2 || h[0].HTTPStatus != 503 {
		t.Errorf("history %+v", h)
	}
	if n := p.attempts(PostMessage, "1", "x"); n != 2 {
		t.Errorf("%d calls", n)
	}
}

// TestNothingIsDeletedFromTheLedger: a server that syncs takes milliseconds for that, in which it stores nothing else.
func TestNothingIsDeletedFromTheLedger(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		if try <= 3 {
			return behaviour{refuse: errUnavailable}
		}
		return behaviour{}
	}
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "a", 1, "x")
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone || r.Attempts != 4 {
		t.Errorf("%+v", r)
	}
	stream, err := b.js.Stream(t.Context(), b.names.LedgerStream())
	if err != nil {
		t.Fatal(err)
	}
	if s := stream.CachedInfo().State; s.NumDeleted != 0 {
		t.Errorf("%d records were deleted", s.NumDeleted)
	}
}

// TestAnIDThatWasUsedForAnotherCommandIsAnsweredAsInvalid, after the duplicate window of the commands.
func TestAnIDThatWasUsedForAnotherCommandIsAnsweredAsInvalid(t *testing.T) {
	for name, behave := range map[string]behaviour{"that ended": {}, "under way": {refuse: errUnavailable}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			p := newPlatform(t, b)
			p.behave = func(op Operation, _, _ string, _ int) behaviour {
				if op == PostMessage {
					return behave
				}
				return behaviour{}
			}
			cfg := testConfig()
			cfg.RetryInitial, cfg.RetryMax, cfg.RetryFor = time.Hour, time.Hour, 24*time.Hour
			x := run(t, newRunner(t, b, p, cfg), 1)
			b.send(t, "a", 1, "x")
			natstest.Eventually(t, "for the first", func() bool { r := b.record(t, "a"); return r.Outcome != nil || r.Released > 0 })
			x.crash(t)
			results := b.count(t, b.names.ResultsStream())
			b.replace(t, b.names.CommandsStream()) // forgets ids and messages, as time does
			b.command(t, subjects.ConversationFinish, "a", `{"conversation_id":2}`)
			run(t, newRunner(t, b, p, cfg), 2)
			r := b.result(t, subjects.ConversationFinish, "a")
			if r.Status != subjects.StatusInvalid || r.Reason != subjects.ReasonMalformed || !strings.Contains(r.Detail, "message.send") {
				t.Errorf("%+v", r)
			}
			b.settled(t, 2)
			if n := p.attempts(FinishConversation, "2", ""); n != 0 {
				t.Errorf("%d calls", n)
			}
			if n := b.letters(t); n != 1 {
				t.Errorf("%d dead letters", n)
			}
			if n := b.count(t, b.names.ResultsStream()); n != results+1 {
				t.Errorf("%d results, %d before", n, results)
			}
		})
	}
}

// TestACommandWhoseRecordCannotBeReadIsParked: a later version of the bridge may have carried it out.
func TestACommandWhoseRecordCannotBeReadIsParked(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	for _, subject := range []string{b.names.Ledger("claim", "a"), b.names.Ledger("done", "b"), b.names.Ledger("claim", "b")} {
		body := `{"v":2}`
		if subject == b.names.Ledger("claim", "b") {
			body = `{"v":1,"command_id":"b","nonce":"n","epoch":1,"kind":"message.send"}`
		}
		if _, err := b.js.Publish(t.Context(), subject, []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	run(t, newRunner(t, b, p, testConfig()), 2)
	for i, id := range []string{"a", "b"} {
		b.send(t, id, i, "x")
		if r := b.result(t, subjects.MessageSend, id); r.Status != subjects.StatusUnknown || !strings.Contains(r.Detail, "another version") {
			t.Errorf("%+v", r)
		}
	}
	b.settled(t, 2)
	if n := b.letters(t); n != 2 || len(p.done()) != 0 {
		t.Errorf("%d dead letters, done: %v", n, p.done())
	}
}

// TestAnEventDoesNotSettleACommandWhileAnOutcomeCannotBeRead: it may be that of the command whose outcome that is.
func TestAnEventDoesNotSettleACommandWhileAnOutcomeCannotBeRead(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost} }
	if _, err := b.js.Publish(t.Context(), b.names.Ledger("done", "other"), []byte(`{"v":2}`), jetstream.WithExpectStream(b.names.LedgerStream())); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	cfg.EchoWait = shortEcho
	run(t, newRunner(t, b, p, cfg), 1)
	b.send(t, "a", 1, "x")
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusUnknown {
		t.Errorf("%+v", r)
	}
}

// TestALostAnswerBeforeAChangeOfTheBridgeIsRemembered: what the API says to a repeat depends on it.
func TestALostAnswerBeforeAChangeOfTheBridgeIsRemembered(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	var moved atomic.Bool
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		switch {
		case moved.Load():
			return behaviour{refuse: &cxapi.Error{Op: "POST handoff/", Status: 422, Kind: cxapi.KindRejected, Outcome: cxapi.OutcomeNever, Body: "already open"}}
		case try == 1:
			return behaviour{lose: errLost}
		}
		return behaviour{refuse: errUnavailable}
	}
	cfg := testConfig()
	cfg.RetryInitial, cfg.RetryMax, cfg.RetryFor = 4*time.Millisecond, time.Hour, 240*time.Hour
	x := run(t, newRunner(t, b, p, cfg), 1)
	b.command(t, subjects.ConversationHandoff, "a", `{"conversation_id":1}`)
	natstest.Eventually(t, "for a lost answer to be remembered", func() bool { return b.record(t, "a").Progress.Unsure })
	x.crash(t)
	moved.Store(true)
	run(t, newRunner(t, b, p, cfg), 2)
	if r := b.result(t, subjects.ConversationHandoff, "a"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
}

// TestAContactWhoseAnswerIsLostIsParkedAtOnceAndSaysWhy: the platform has no event for it, so that none was waited for.
func TestAContactWhoseAnswerIsLostIsParkedAtOnceAndSaysWhy(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost} }
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.command(t, subjects.ContactCreate, "a", `{"inbox_id":5,"name":"Bo","email":"bo@example.test"}`)
	r := b.result(t, subjects.ContactCreate, "a")
	if r.Status != subjects.StatusUnknown || !strings.Contains(r.Detail, "no event tells") || strings.Contains(r.Detail, "within") {
		t.Errorf("%+v", r)
	}
}
