package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	dto "github.com/prometheus/client_model/go"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// hooked is the ledger of a term in which something happens when a command has been claimed, or instead of its outcome being recorded.
type hooked struct {
	epochRecords
	claimed func()
	settle  func() error // nil error: the outcome is recorded
}

func (h hooked) Claim(ctx context.Context, c ledger.Claim) (ledger.Claim, error) {
	claim, err := h.epochRecords.Claim(ctx, c)
	h.claimed()
	return claim, err
}

func (h hooked) Settle(ctx context.Context, o *ledger.Outcome) (*ledger.Outcome, error) {
	if err := h.settle(); err != nil {
		return o, err
	}
	return h.epochRecords.Settle(ctx, o)
}

// hook changes the ledger of a runner's terms.
func hook(r *Runner, claimed func(), settle func() error) {
	begin := r.begin
	r.begin = func(ctx context.Context, epoch uint64) (epochRecords, error) {
		e, err := begin(ctx, epoch)
		return hooked{e, claimed, settle}, err
	}
}

// TestALeaseThatGetsTooShortDuringTheClaimMakesNoCall: a claim may take long, and who is frozen in it must not call when it wakes.
func TestALeaseThatGetsTooShortDuringTheClaimMakesNoCall(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	var mine atomic.Pointer[term]
	hook(r, func() { mine.Load().invalid.Store(true) }, func() error { return nil })
	x := run(t, r, 1)
	mine.Store(x.term)
	b.send(t, "a", 1, "x")
	natstest.Eventually(t, "for the claim to be given back", func() bool {
		if n := len(p.called); n > 0 {
			t.Fatalf("%d calls", n)
		}
		return b.record(t, "a").Released > 0
	})
	x.crash(t)
	if n := len(p.called); n > 0 {
		t.Errorf("%d calls", n)
	}
	run(t, newRunner(t, b, p, testConfig()), 2)
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

// TestAResultThatIsThereIsNotReplaced, not even when the stream has long forgotten its message id.
func TestAResultThatIsThereIsNotReplaced(t *testing.T) {
	b := newBus(t)
	first := &nats.Msg{Subject: b.names.Result(subjects.MessageSend, "a"), Data: []byte(`{"command_id":"a","status":"done","attempts":7}`)}
	if _, err := b.js.PublishMsg(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 1)
	b.send(t, "a", 1, "x")
	b.settled(t, 1)
	if r := b.result(t, subjects.MessageSend, "a"); r.Attempts != 7 {
		t.Errorf("%+v", r)
	}
	if n := b.count(t, b.names.ResultsStream()); n != 1 {
		t.Errorf("%d results", n)
	}
}

// TestNothingBehindAGapIsCarriedOutBeforeWhatIsMissing: somebody is given a command of a conversation and never acknowledges it, as a connection
// that is lost does.
func TestNothingBehindAGapIsCarriedOutBeforeWhatIsMissing(t *testing.T) {
	const each = 6
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	b.send(t, "first", 7, "x")
	b.result(t, subjects.MessageSend, "first") // the bridge pulls
	inbox := b.conn.NewInbox()
	lost, err := b.conn.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	next := "$JS.API.CONSUMER.MSG.NEXT." + b.names.CommandsStream() + "." + consumerName(1)
	if err := b.conn.PublishRequest(next, inbox, []byte(`{"batch":1,"expires":600000000000}`)); err != nil {
		t.Fatal(err)
	}
	for n := range each {
		b.send(t, fmt.Sprintf("0-%d", n), 1, fmt.Sprintf("text %d", n))
	}
	if m, err := lost.NextMsg(natstest.Patience); err != nil || m.Header.Get(subjects.HeaderMsgID) == "" {
		t.Fatalf("nothing was lost: %v", err)
	}
	for n := range each {
		if r := b.result(t, subjects.MessageSend, fmt.Sprintf("0-%d", n)); r.Status != subjects.StatusDone {
			t.Errorf("%+v", r)
		}
	}
	var texts []string
	for _, d := range p.done() {
		texts = append(texts, d.content)
	}
	if want := []string{"x", "text 0", "text 1", "text 2", "text 3", "text 4", "text 5"}; !slices.Equal(texts, want) {
		t.Errorf("carried out %v", texts)
	}
}

// TestACommandThatIsGivenUpAfterALostAnswerIsUnknown: it may have been carried out, although it may be repeated.
func TestACommandThatIsGivenUpAfterALostAnswerIsUnknown(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		if try == 1 {
			return behaviour{lose: errLost}
		}
		return behaviour{refuse: errUnavailable}
	}
	cfg := testConfig()
	cfg.RetryFor = 50 * time.Millisecond
	run(t, newRunner(t, b, p, cfg), 1)
	b.command(t, subjects.ConversationHandoff, "a", `{"conversation_id":1}`)
	if r := b.result(t, subjects.ConversationHandoff, "a"); r.Status != subjects.StatusUnknown || r.Reason != subjects.ReasonOutcomeUnknown {
		t.Errorf("%+v", r)
	}
	b.settled(t, 1)
	if n := b.letters(t); n != 1 {
		t.Errorf("%d dead letters", n)
	}
}

// TestASoftStopRecordsWhatCameOfACallAlsoIfTheBusIsAwayForAMoment: another process has nothing but the ledger.
func TestASoftStopRecordsWhatCameOfACallAlsoIfTheBusIsAwayForAMoment(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{hold: hold, silent: true} }
	r := newRunner(t, b, p, testConfig())
	var tries atomic.Int64
	hook(r, func() {}, func() error {
		if tries.Add(1) <= 3 {
			return errors.New("the bus is away")
		}
		return nil
	})
	x := run(t, r, 1)
	b.send(t, "a", 1, "x")
	<-p.called
	x.stop()
	close(hold)
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	if o := b.record(t, "a").Outcome; o == nil || o.Result.Status != subjects.StatusDone {
		t.Errorf("the ledger does not know the outcome: %+v", o)
	}
}

// TestAHandoffOfABridgeThatMayStillLiveIsNotRepeatedAtOnce: its call may be late, and would undo what comes next in the conversation.
func TestAHandoffOfABridgeThatMayStillLiveIsNotRepeatedAtOnce(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(op Operation, _, _ string, _ int) behaviour {
		if op == DeliverToAgent {
			return behaviour{hold: make(chan struct{})}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.CallTimeout, cfg.EchoWait = time.Hour, time.Second // a late call may take an hour
	x := run(t, newRunner(t, b, p, cfg), 1)
	b.command(t, subjects.ConversationHandoff, "a", `{"conversation_id":1}`)
	<-p.called
	x.crash(t)
	run(t, newRunner(t, b, p, cfg), 2)
	for n := range 5 { // others go on meanwhile
		b.send(t, fmt.Sprint(n), 2, fmt.Sprint(n))
		if r := b.result(t, subjects.MessageSend, fmt.Sprint(n)); r.Status != subjects.StatusDone {
			t.Errorf("%+v", r)
		}
	}
	if n := p.attempts(DeliverToAgent, "1", ""); n != 1 {
		t.Errorf("%d calls", n)
	}
	if r := b.record(t, "a"); r.Claim == nil || r.Released > 0 {
		t.Errorf("%+v", r)
	}
}

// TestAPullThatFindsAGapDoesNotTakeWhatIsBehindIt is the same as above at the place where it is decided.
func TestAPullThatFindsAGapDoesNotTakeWhatIsBehindIt(t *testing.T) {
	p := &pulling{shift: &shift{held: newHeld()}, at: &position{}, expected: 3}
	for _, number := range []uint64{1, 2, 4, 1000} {
		if err := p.take(numbered{number: number}); !errors.Is(err, errAstray) || p.held.len() != 0 || p.expected != 3 {
			t.Errorf("delivery %d: %v, %d held", number, err, p.held.len())
		}
	}
}

// numbered is a delivery with a number.
type numbered struct {
	jetstream.Msg
	number uint64
}

func (n numbered) Metadata() (*jetstream.MsgMetadata, error) {
	return &jetstream.MsgMetadata{Sequence: jetstream.SequencePair{Consumer: n.number, Stream: n.number}}, nil
}

// TestACopyOfACommandInAnotherLaneWaitsForTheFirst: of two commands with one id one is carried out, and its end is the end of both, even if the
// other one's lane has nothing else to do while the call takes its time.
func TestACopyOfACommandInAnotherLaneWaitsForTheFirst(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(_ Operation, _, content string, _ int) behaviour {
		if content == "x" {
			return behaviour{hold: hold}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait, cfg.LeaseTTL = shortEcho, 4*cfg.CallTimeout // a claim of which nobody knows is given up soon
	run(t, newRunner(t, b, p, cfg), 1)
	b.command(t, subjects.MessageSend, "", `{"conversation_id":1,"content":"x"}`, subjects.HeaderCEID, "a")
	<-p.called
	b.command(t, subjects.MessageSend, "", `{"conversation_id":2,"content":"x"}`, subjects.HeaderCEID, "a")
	for n := range 30 { // others go on meanwhile
		b.send(t, fmt.Sprint(n), 3, fmt.Sprint(n))
		b.result(t, subjects.MessageSend, fmt.Sprint(n))
	}
	close(hold)
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone || r.ConversationID.String() != "1" {
		t.Errorf("%+v", r)
	}
	b.settled(t, 1)
	if n := p.attempts(PostMessage, "1", "x") + p.attempts(PostMessage, "2", "x"); n != 1 || b.letters(t) != 0 {
		t.Errorf("%d calls, %d dead letters", n, b.letters(t))
	}
}

// TestANoteOfAnAgentIsNoEcho: what agents write to one another is not what the customer was sent.
func TestANoteOfAnAgentIsNoEcho(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{lose: errLost, silent: true} }
	cfg := testConfig()
	cfg.EchoWait = shortEcho
	run(t, newRunner(t, b, p, cfg), 1)
	b.event(t, 1, 42, subjects.Outgoing, "hello", subjects.HeaderPrivate, "true")
	b.send(t, "a", 42, "hello")
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusUnknown || !r.MessageID.IsZero() {
		t.Errorf("%+v", r)
	}
}

// TestAPauseDuringTheClaimMakesNoCall: whoever pauses must not have to wait for claims that are under way.
func TestAPauseDuringTheClaimMakesNoCall(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	hook(r, sync.OnceFunc(r.Pause), func() error { return nil })
	run(t, r, 1)
	b.send(t, "a", 1, "x")
	natstest.Eventually(t, "for the claim to be given back", func() bool {
		if n := len(p.called); n > 0 {
			t.Fatalf("%d calls", n)
		}
		return b.record(t, "a").Released > 0
	})
	r.Resume()
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone || r.Attempts != 1 {
		t.Errorf("%+v", r)
	}
}

// TestACommandThatExpiresDuringTheClaimMakesNoCall: a bus may take long to store a claim.
func TestACommandThatExpiresDuringTheClaimMakesNoCall(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	expires := time.Now().Add(500 * time.Millisecond)
	hook(r, func() { <-time.After(time.Until(expires)) }, func() error { return nil })
	run(t, r, 1)
	b.send(t, "a", 1, "x", subjects.HeaderExpiresAt, expires.Format(time.RFC3339Nano))
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusExpired || r.Attempts != 0 {
		t.Errorf("%+v", r)
	}
	if n := len(p.called); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestACallThatPanickedIsNotTakenForOneThatWasNotMade when the term ends before it was looked at, and the same bridge is the next active one.
func TestACallThatPanickedIsNotTakenForOneThatWasNotMade(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, _ string, try int) behaviour {
		if try == 1 {
			return behaviour{lose: late{}}
		}
		return behaviour{}
	}
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	b.send(t, "a", 1, "x")
	natstest.Eventually(t, "for the panic", func() bool {
		var m dto.Metric
		return r.metrics.panics.Write(&m) == nil && m.GetCounter().GetValue() > 0
	})
	x.crash(t)
	run(t, r, 2)
	if r := b.result(t, subjects.MessageSend, "a"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if n := len(p.done()); n != 1 {
		t.Errorf("done %d times", n)
	}
}

func TestARepliesSubjectIsPlain(t *testing.T) {
	r := reader{prefixes: []string{"_INBOX.", "bots."}}
	for subject, want := range map[string]bool{
		"_INBOX.a": true, "bots.a.b": true, "_INBOX.": false, "_INBOX.*": false, "_INBOX.>": false, "_INBOX.a.*.b": false, "_INBOX.a..b": false,
		"_INBOX.a b": false, "_INBOX.a\r\nPUB x 0": false, "_INBOX.a\t": false, "bots": false, "other.a": false, "": false,
	} {
		if got := r.mayReply(subject); got != want {
			t.Errorf("%q: %t", subject, got)
		}
	}
}
