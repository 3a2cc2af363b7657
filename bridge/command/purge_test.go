package command

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// outlived returns settings with which everything that was published before is too old.
func outlived() Config {
	c := testConfig()
	c.LedgerTTL = time.Nanosecond
	return c
}

// TestACommandThatWaitedForTooLongIsNotCarriedOutAndHasItsResult: the stream does not drop it, and the ledger could not say any more that it is new.
func TestACommandThatWaitedForTooLongIsNotCarriedOutAndHasItsResult(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	b.send(t, "a", 1, "x")
	b.command(t, subjects.ConversationFinish, "b", `{"conversation_id":1}`)
	run(t, newRunner(t, b, p, outlived()), 1)
	for kind, id := range map[subjects.Kind]string{subjects.MessageSend: "a", subjects.ConversationFinish: "b"} {
		r := b.result(t, kind, id)
		if r.Status != subjects.StatusExhausted || r.Reason != subjects.ReasonExpired || r.Attempts != 0 || r.Detail == "" {
			t.Errorf("%+v", r)
		}
	}
	if n := len(p.done()); n != 0 {
		t.Errorf("%d calls", n)
	}
	if n := b.letters(t); n != 2 {
		t.Errorf("%d dead letters", n)
	}
}

// TestACommandThatMayHaveBeenBegunBeforeTheLedgerForgotItIsUnknown, and is not done twice.
func TestACommandThatMayHaveBeenBegunBeforeTheLedgerForgotItIsUnknown(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold} }
	x := run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "a", 1, "x")
	<-p.called
	x.kill()
	close(hold)
	x.crash(t)
	b.replace(t, b.names.LedgerStream()) // forgets, as time does
	run(t, newRunner(t, b, p, outlived()), 2)
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusUnknown || r.Reason != subjects.ReasonOutcomeUnknown {
		t.Errorf("%+v", r)
	}
	if n := p.attempts(PostMessage, "1", "x"); n != 1 {
		t.Errorf("%d calls", n)
	}
	if n := b.letters(t); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

// leave carries five commands out beyond one that waits, and ends the term; then the ledger forgets, and results expire.
func leave(t *testing.T, b *bus, p *platform, first *Runner) {
	t.Helper()
	p.behave = func(_ Operation, _, content string, _ int) behaviour {
		if content == "waits" {
			return behaviour{refuse: errUnavailable}
		}
		return behaviour{}
	}
	x := run(t, first, 1)
	b.send(t, "waits", 2, "waits")
	for n := range 5 {
		b.send(t, fmt.Sprint(n), 1, fmt.Sprint("text ", n))
		b.result(t, subjects.MessageSend, fmt.Sprint(n))
	}
	<-p.called
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	b.replace(t, b.names.LedgerStream())
	b.replace(t, b.names.ResultsStream())
}

func patientConfig() Config {
	c := testConfig()
	c.RetryInitial, c.RetryMax, c.RetryFor = 24*time.Hour, 24*time.Hour, 24*time.Hour
	return c
}

// TestWhatHasItsResultIsNotAnsweredAgainWhenTheLedgerHasForgottenIt: the bridge was away for days, and another command kept the position where it is.
func TestWhatHasItsResultIsNotAnsweredAgainWhenTheLedgerHasForgottenIt(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	leave(t, b, p, newRunner(t, b, p, patientConfig()))
	run(t, newRunner(t, b, p, outlived()), 2)
	b.send(t, "last", 1, "x")
	b.result(t, subjects.MessageSend, "last")
	if r := b.result(t, subjects.MessageSend, "waits"); r.Status != subjects.StatusUnknown {
		t.Errorf("%+v", r)
	}
	b.settled(t, 2)
	if n := b.count(t, b.names.ResultsStream()); n != 2 {
		t.Errorf("%d results", n)
	}
	if n := b.letters(t); n != 2 {
		t.Errorf("%d dead letters", n)
	}
}

// TestALongerMemoryDoesNotReachBack: with the ledger_ttl of before, the ledger has forgotten what the one of now would have it remember.
func TestALongerMemoryDoesNotReachBack(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	first := newRunner(t, b, p, patientConfig())
	leave(t, b, p, first)
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	s := &shift{Runner: first}
	s.reader.created = stream.CachedInfo().Created
	w, _, err := s.readPosition(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if w.Remembers != first.cfg.LedgerTTL || w.Highest != 6 || len(w.Open) != 1 {
		t.Errorf("%+v", w)
	}
	w.Remembers, w.Open = time.Nanosecond, []uint64{1, 2} // as if the first of the five had been finished just before it died
	b.write(t, w)
	b.send(t, "later", 3, "x")
	run(t, newRunner(t, b, p, testConfig()), 2)
	if r := b.result(t, subjects.MessageSend, "later"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	for _, id := range []string{"waits", "0"} {
		if r := b.result(t, subjects.MessageSend, id); r.Status != subjects.StatusUnknown {
			t.Errorf("%+v", r)
		}
	}
	b.settled(t, 2)
	if n := b.count(t, b.names.ResultsStream()); n != 3 {
		t.Errorf("%d results", n)
	}
	for n := range 5 {
		if calls := p.attempts(PostMessage, "1", fmt.Sprint("text ", n)); calls != 1 {
			t.Errorf("%d calls", calls)
		}
	}
}

// TestAnOldCommandIsUnknownIfACallMayHaveBeenCarriedOut, now or before.
func TestAnOldCommandIsUnknownIfACallMayHaveBeenCarriedOut(t *testing.T) {
	t.Parallel()
	s := &shift{Runner: &Runner{cfg: testConfig()}}
	old, young := time.Now().Add(-2*s.cfg.LedgerTTL), time.Now()
	for name, c := range map[string]struct {
		stored             time.Time
		suspect, ambiguous bool
		want               subjects.Status
	}{
		"young":             {young, true, true, ""},
		"never begun":       {old, false, false, subjects.StatusExhausted},
		"begun before":      {old, true, false, subjects.StatusUnknown},
		"an answer is lost": {old, false, true, subjects.StatusUnknown},
	} {
		j := &job{shift: s, stored: c.stored.UnixNano(), suspect: c.suspect, progress: &progress{ambiguous: c.ambiguous}}
		if v := j.forgotten(); (v == nil) != (c.want == "") || v != nil && v.status != c.want {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// TestAnOldCommandIsUnknownWhenNobodyCanTellWhetherItWasBegun: an operator has deleted the consumer.
func TestAnOldCommandIsUnknownWhenNobodyCanTellWhetherItWasBegun(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	leave(t, b, p, newRunner(t, b, p, patientConfig()))
	if err := b.js.DeleteConsumer(t.Context(), b.names.CommandsStream(), consumerName(1)); err != nil {
		t.Fatal(err)
	}
	run(t, newRunner(t, b, p, outlived()), 2)
	if r := b.result(t, subjects.MessageSend, "waits"); r.Status != subjects.StatusUnknown {
		t.Errorf("%+v", r)
	}
}

// TestOldCommandsAreDeletedOnlyWhenTheyAreDoneWith, and schedules are left alone.
func TestOldCommandsAreDeletedOnlyWhenTheyAreDoneWith(t *testing.T) {
	t.Parallel()
	const done, waiting = 7, 3
	b := newBus(t)
	p := newPlatform(t, b)
	at := &nats.Msg{Subject: b.names.Schedule("later"), Data: []byte(`{"conversation_id":1,"content":"x"}`), Header: nats.Header{
		subjects.HeaderSchedule: {"@at " + time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, "Nats-Schedule-Target": {b.names.Command(subjects.MessageSend)},
	}}
	if _, err := b.js.PublishMsg(t.Context(), at); err != nil {
		t.Fatal(err)
	}
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	for n := range done {
		b.send(t, fmt.Sprint(n), n, "x")
	}
	b.settled(t, 1)
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	for n := range waiting {
		b.send(t, fmt.Sprint("waits", n), n, "x")
	}
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	s := &shift{Runner: r, epochNumber: 1, stream: b.names.CommandsStream(), held: newHeld()}
	s.reader.created = stream.CachedInfo().Created
	purged := func(want int) {
		t.Helper()
		if err := s.purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := b.count(t, b.names.CommandsStream()); n != want {
			t.Errorf("%d messages, want %d", n, want)
		}
	}
	if err := s.writePosition(t.Context(), progressed{floor: 1 + done}); err != nil {
		t.Fatal(err)
	}
	purged(1 + done + waiting) // they are not old
	r.cfg.LedgerTTL = time.Nanosecond
	purged(1 + waiting)
	purged(1 + waiting)
	if _, err := stream.GetLastMsgForSubject(t.Context(), at.Subject); err != nil {
		t.Errorf("the schedule: %v", err)
	}
}

func TestTheFirstCommandSinceATime(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := &shift{Runner: newRunner(t, b, newPlatform(t, b), testConfig())}
	for n := range 9 {
		b.send(t, fmt.Sprint(n), n, "x")
	}
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), 6); err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 4, 5, 9} {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		want := seq + 1
		for first := range seq {
			if got, err := s.firstSince(t.Context(), stream, m.Time, first+1, 10); err != nil || got != want {
				t.Errorf("after command %d, from %d on: %d, %v", seq, first+1, got, err)
			}
		}
		if got, err := s.firstSince(t.Context(), stream, m.Time, 1, 3); err != nil || got != min(want, 3) {
			t.Errorf("after command %d, up to 3: %d, %v", seq, got, err)
		}
	}
}

// TestNothingIsDeletedFromAStreamThatWasReplaced, or that does not tell how old its commands are.
func TestNothingIsDeletedFromAStreamThatWasReplaced(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := newRunner(t, b, newPlatform(t, b), outlived())
	for n := range 3 {
		b.send(t, fmt.Sprint(n), n, "x")
	}
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	s := &shift{Runner: r, epochNumber: 1, stream: b.names.CommandsStream(), held: newHeld()}
	s.reader.created = stream.CachedInfo().Created.Add(-time.Hour)
	if err := s.writePosition(t.Context(), progressed{floor: 3}); err != nil {
		t.Fatal(err)
	}
	if err := s.purge(t.Context()); err != nil {
		t.Error(err)
	}
	if n := b.count(t, b.names.CommandsStream()); n != 3 {
		t.Errorf("%d commands", n)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if got, err := s.firstSince(ended, stream, time.Now(), 1, 4); err == nil {
		t.Errorf("%d", got)
	}
}
