package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

// bus has all streams, and writes into them what a bridge and its bots would.
type bus struct {
	*testing.T
	js      jetstream.JetStream
	names   subjects.Names
	epoch   *ledger.Epoch
	explain *explain.Explainer
}

func start(t *testing.T) *bus {
	t.Helper()
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{T: t, names: names, js: natstest.Start(t).JetStream(t)}
	settings := subjects.StreamSettings{
		Replicas: 1, EventsMaxAge: time.Hour, ResultsMaxAge: time.Hour, DeadMaxAge: time.Hour, LedgerTTL: time.Hour, DuplicateWindow: time.Minute,
	}
	for _, s := range names.Streams(settings) {
		config := jetstream.StreamConfig{
			Name: s.Name, Subjects: s.Subjects, AllowDirect: s.AllowDirect, AllowMsgTTL: s.AllowMsgTTL, AllowMsgSchedules: s.AllowMsgSchedules,
			Duplicates: s.DuplicateWindow, MaxAge: s.MaxAge, MaxMsgsPerSubject: max(s.MaxMsgsPerSubject, -1), DiscardNewPerSubject: s.DiscardNewPerSubject,
		}
		if config.MaxMsgsPerSubject == 0 {
			config.MaxMsgsPerSubject = -1
		}
		if s.DiscardNew {
			config.Discard = jetstream.DiscardNew
		}
		natstest.CreateStream(t, b.js, config)
	}
	natstest.Eventually(t, "the epoch to begin", func() bool {
		b.epoch, err = ledger.New(b.js, names, slog.New(slog.DiscardHandler)).Begin(b.ctx(), 1)
		return err == nil
	})
	b.explain = explain.New(b.js, names)
	return b
}

func (b *bus) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), natstest.Patience)
	b.Cleanup(cancel)
	return ctx
}

func (b *bus) publish(subject string, body any, headers ...string) uint64 {
	b.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		b.Fatal(err)
	}
	m := nats.NewMsg(subject)
	m.Data = data
	for i := 0; i < len(headers); i += 2 {
		m.Header.Set(headers[i], headers[i+1])
	}
	ack, err := b.js.PublishMsg(b.ctx(), m)
	if err != nil {
		b.Fatal(err)
	}
	return ack.Sequence
}

func (b *bus) claim(id string) {
	b.Helper()
	_, err := b.epoch.Claim(b.ctx(), ledger.Claim{CommandID: id, Nonce: "n", Kind: subjects.MessageSend, Key: "conversation/42"})
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bus) settle(r subjects.Result, history ...subjects.Attempt) {
	b.Helper()
	o := ledger.Outcome{Result: r, Key: "conversation/42", MessageID: r.MessageID.String(), History: history, DeadLetter: r.Status.DeadLetter()}
	if _, err := b.epoch.Settle(b.ctx(), &o); err != nil {
		b.Fatal(err)
	}
}

func (b *bus) ask(id string) explain.Account {
	b.Helper()
	account, err := b.explain.Explain(b.ctx(), id)
	if err != nil {
		b.Fatal(err)
	}
	if !slices.IsSortedFunc(account.Entries, func(x, y explain.Entry) int { return x.Time.Compare(y.Time.Time) }) {
		b.Errorf("entries are not in order of time:\n%s", show(account))
	}
	return account
}

func show(a explain.Account) string {
	text, _ := json.MarshalIndent(a, "", "  ") // it is only shown
	return string(text)
}

// tells compares the kinds of the entries.
func (b *bus) tells(a explain.Account, want ...explain.What) {
	b.Helper()
	var got []explain.What
	for _, e := range a.Entries {
		got = append(got, e.What)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.Errorf("entries tell %v, want %v:\n%s", got, want, show(a))
	}
}

// sent carries out a command: published, claimed, called twice, answered, echoed.
func (b *bus) sent(id, message string) {
	b.Helper()
	b.publish("cx.cmd.message.send", map[string]any{"content": "a secret text"}, "Nats-Msg-Id", id)
	b.claim(id)
	began := time.Now()
	b.publish("cx.message.created", map[string]any{"content": "a secret text"}, "Nats-Msg-Id", "acme:message_created:"+message, "Cx-Event", "message_created",
		"Cx-Message-Id", message, "Cx-Conversation-Id", "42", "Cx-Echo-Of", id, "Cx-Origin", "bot")
	r := subjects.Result{
		CommandID: id, Command: subjects.MessageSend, Status: subjects.StatusDone, MessageID: subjects.StringID(message), Attempts: 2, HTTPStatus: 200,
		Response: json.RawMessage(`{"content":"a secret text"}`),
	}
	b.settle(r, subjects.Attempt{At: subjects.Time{Time: began}, HTTPStatus: 503, Reason: subjects.ReasonUnavailable, Detail: "busy"},
		subjects.Attempt{At: subjects.Time{Time: began.Add(time.Millisecond)}, HTTPStatus: 200})
	b.publish(b.names.Result(r.Command, id), r, "Cx-Command-Id", id)
}

func TestACommandIsExplainedByItsIDItsMessageAndItsEvent(t *testing.T) {
	b := start(t)
	b.sent("b1c7", "9001")
	b.sent("other", "9002")
	for id, is := range map[string]string{"b1c7": "command", "9001": "message", "acme:message_created:9001": "event"} {
		a := b.ask(id)
		b.tells(a, explain.Published, explain.Claimed, explain.Event, explain.Called, explain.Called, explain.Settled, explain.Result)
		if len(a.Commands) != 1 || a.Commands[0].ID != "b1c7" || a.Commands[0].State != "done" || a.Commands[0].Command != subjects.MessageSend {
			t.Errorf("%s: commands are %+v", id, a.Commands)
		}
		if !slices.Contains(a.Is, is) {
			t.Errorf("%s is %v, not %s", id, a.Is, is)
		}
		if strings.Contains(show(a), "secret") {
			t.Errorf("%s: the account tells of a body:\n%s", id, show(a))
		}
	}
}

func TestAMessageWithoutEventIsFoundByItsResult(t *testing.T) {
	b := start(t)
	r := subjects.Result{CommandID: "an id with spaces", Command: subjects.MessageSend, Status: subjects.StatusDone, MessageID: subjects.NumberID(7)}
	b.publish(b.names.Result(r.Command, r.CommandID), r)
	for _, id := range []string{"7", "an id with spaces"} {
		b.tells(b.ask(id), explain.Result)
	}
}

func TestACustomersMessageIsExplained(t *testing.T) {
	b := start(t)
	b.publish("cx.message.created", struct{}{}, "Nats-Msg-Id", "e1", "Cx-Event", "message_created", "Cx-Message-Id", "5", "Cx-Origin", "customer")
	for _, id := range []string{"5", "e1"} {
		a := b.ask(id)
		b.tells(a, explain.Event)
		if len(a.Commands) != 0 {
			t.Errorf("commands are %+v", a.Commands)
		}
	}
}

func TestADeadCommandAndItsReplayAreExplained(t *testing.T) {
	b := start(t)
	seq := b.publish("cx.cmd.message.send", struct{}{}, "Nats-Msg-Id", "c1")
	failed := subjects.Attempt{At: subjects.Time{Time: time.Now()}, HTTPStatus: 404, Reason: subjects.ReasonNotFound}
	b.settle(subjects.Result{CommandID: "c1", Command: subjects.MessageSend, Status: subjects.StatusRefused, Reason: subjects.ReasonNotFound, Attempts: 1}, failed)
	letter := deadletter.Letter{
		Subject: b.names.DeadCommand(subjects.MessageSend), Original: deadletter.Original{Subject: "cx.cmd.message.send"}, CommandID: "c1",
		Status: subjects.StatusRefused, Reason: subjects.ReasonNotFound, Attempts: 1, History: []subjects.Attempt{failed}, FailedAt: time.Now(),
	}
	if err := deadletter.Put(b.ctx(), b.js, b.names, letter); err != nil {
		t.Fatal(err)
	}
	b.publish("cx.cmd.message.send", struct{}{}, "Nats-Msg-Id", "c2", "Cx-Replay-Of", "c1")
	a := b.ask("c1")
	b.tells(a, explain.Published, explain.Called, explain.Settled, explain.DeadLetter, explain.Replayed)
	if a.Entries[0].Sequence != seq || !strings.HasSuffix(a.Entries[len(a.Entries)-1].Text, "c2") {
		t.Errorf("the account is\n%s", show(a))
	}
	if a = b.ask("c2"); len(a.Entries) != 1 || !strings.Contains(a.Entries[0].Text, "a replay of c1") {
		t.Errorf("the account of the replay is\n%s", show(a))
	}
}

func TestALetterTellsWhatTheLedgerHasForgotten(t *testing.T) {
	b := start(t)
	letter := deadletter.Letter{
		Subject: b.names.DeadCommand(subjects.ContactCreate), Original: deadletter.Original{Subject: "cx.cmd.contact.create"}, CommandID: "c1",
		Status: subjects.StatusExhausted, Reason: subjects.ReasonTimeout, Attempts: 1, FailedAt: time.Now(),
		History: []subjects.Attempt{{At: subjects.Time{Time: time.Now()}, Reason: subjects.ReasonTimeout}},
	}
	if err := deadletter.Put(b.ctx(), b.js, b.names, letter); err != nil {
		t.Fatal(err)
	}
	a := b.ask("c1")
	b.tells(a, explain.Called, explain.DeadLetter)
	if len(a.Commands) != 1 || a.Commands[0].State != "exhausted" || a.Commands[0].Command != subjects.ContactCreate {
		t.Errorf("commands are %+v", a.Commands)
	}
}

func TestWhereAnUnfinishedCommandStands(t *testing.T) {
	b := start(t)
	var last uint64
	for _, id := range []string{"c1", "c2", "c3", "c4"} {
		last = b.publish("cx.cmd.message.send", struct{}{}, "Nats-Msg-Id", id)
	}
	b.claim("c2")
	b.stands("c4", explain.StateWaiting)
	consumer, err := b.js.CreateConsumer(b.ctx(), b.names.CommandsStream(), jetstream.ConsumerConfig{Durable: "cxbridge-1", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		m, err := consumer.Next(jetstream.FetchContext(b.ctx()))
		if err != nil {
			t.Fatal(err)
		}
		if i > 0 {
			continue
		}
		if err := m.DoubleAck(b.ctx()); err != nil {
			t.Fatal(err)
		}
	}
	b.stands("c1", explain.StateForgotten)
	b.stands("c2", explain.StateClaimed)
	b.stands("c3", explain.StateTaken)
	b.stands("c4", explain.StateWaiting)

	kv, err := b.js.CreateKeyValue(b.ctx(), jetstream.KeyValueConfig{Bucket: b.names.BridgeBucket()})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := pause.New(kv, slog.New(slog.DiscardHandler)).Pause(b.ctx(), "ann", ""); err != nil {
		t.Fatal(err)
	}
	a := b.ask("c4")
	if !strings.Contains(strings.Join(a.Remarks, "\n"), "paused") || a.Entries[0].Sequence != last {
		t.Errorf("the account is\n%s", show(a))
	}
}

func (b *bus) stands(id, state string) {
	b.Helper()
	a := b.ask(id)
	if len(a.Commands) != 1 || a.Commands[0].State != state {
		b.Errorf("%s stands as %+v, want %s", id, a.Commands, state)
	}
}

func TestScheduledAndNamelessCommands(t *testing.T) {
	b := start(t)
	b.publish("cx.schedule.cmd.later", struct{}{}, "Nats-Msg-Id", "c1", "Nats-Schedule", "@at 2099-01-01T00:00:00Z", "Nats-Schedule-Target", "cx.cmd.message.send")
	b.stands("c1", explain.StateScheduled)
	seq := b.publish("cx.cmd.message.send", struct{}{})
	stream, err := b.js.Stream(b.ctx(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	id := "CX_COMMANDS-" + subjects.NumberID(stream.CachedInfo().Created.UnixNano()).String() + "-" + subjects.NumberID(int64(seq)).String()
	b.stands(id, explain.StateWaiting)
}

func TestWhatNothingKnowsIsUnknown(t *testing.T) {
	b := start(t)
	b.sent("c1", "1")
	if _, err := b.explain.Explain(b.ctx(), "nobody"); !errors.Is(err, explain.ErrUnknown) {
		t.Errorf("Explain = %v, want ErrUnknown", err)
	}
}

func TestManyMessagesAreReadInBatches(t *testing.T) {
	b := start(t)
	for range 2500 {
		if _, err := b.js.PublishMsgAsync(&nats.Msg{Subject: "cx.message.created"}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-b.js.PublishAsyncComplete():
	case <-b.ctx().Done():
		t.Fatal("events cannot be published")
	}
	b.sent("c1", "1")
	b.tells(b.ask("1"), explain.Published, explain.Claimed, explain.Event, explain.Called, explain.Called, explain.Settled, explain.Result)
}
