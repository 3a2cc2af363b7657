package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/subjects"
)

// deadBus is a bus with dead letters, as an operator sees it from the command line.
type deadBus struct {
	*testing.T
	server *natstest.Server
	url    string
	names  subjects.Names
	js     jetstream.JetStream
	store  *deadletter.Store
}

func startDeadBus(t *testing.T) *deadBus {
	t.Helper()
	t.Setenv(configVariable, "")
	server := natstest.Start(t)
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	b := &deadBus{T: t, url: server.URL, names: names, js: server.JetStream(t)}
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: 1, DeadMaxAge: time.Hour, LedgerTTL: time.Hour, DuplicateWindow: time.Hour}) {
		if s.Name == names.DeadStream() || s.Name == names.CommandsStream() {
			natstest.CreateStream(t, b.js, jetstream.StreamConfig{
				Name: s.Name, Subjects: s.Subjects, AllowDirect: true, AllowMsgSchedules: s.AllowMsgSchedules, AllowMsgTTL: s.AllowMsgTTL, MaxAge: s.MaxAge,
			})
		}
	}
	b.store = deadletter.NewStore(b.js, names)
	return b
}

func (b *deadBus) ctx() context.Context {
	ctx, cancel := context.WithTimeout(b.Context(), natstest.Patience)
	b.Cleanup(cancel)
	return ctx
}

func (b *deadBus) put(letters ...deadletter.Letter) {
	b.Helper()
	for _, letter := range letters {
		if err := deadletter.Put(b.ctx(), b.js, b.names, letter); err != nil {
			b.Fatal(err)
		}
	}
}

func (b *deadBus) message(id string, status subjects.Status, reason subjects.Reason) deadletter.Letter {
	return deadletter.Letter{
		Subject: b.names.DeadCommand(subjects.MessageSend), CommandID: id, Status: status, Reason: reason, Detail: "detail of " + id, Attempts: 1,
		Original: deadletter.Original{
			Subject: b.names.Command(subjects.MessageSend), Header: nats.Header{"Traceparent": {"00-trace"}},
			Data: []byte(`{"conversation_id":42,"content":"something secret"}`),
		},
		History:  []subjects.Attempt{{At: subjects.Time{Time: time.Now()}, HTTPStatus: 404, Reason: reason, Detail: "attempt of " + id}},
		FailedAt: time.Now(),
	}
}

func (b *deadBus) webhook() deadletter.Letter {
	return deadletter.Letter{
		Subject: b.names.DeadWebhook(), Reason: subjects.ReasonMalformed, Original: deadletter.Original{Data: []byte("\xff\x1b[31m secret")}, FailedAt: time.Now(),
	}
}

// on adds to a command line where the bus is, and patience.
func (b *deadBus) on(args []string) []string {
	all := append(slices.Clone(args), "--nats", b.url, "--timeout", natstest.Patience.String())
	if b.names.Prefix() != "" {
		all = append(all, "--subjects.prefix", b.names.Prefix())
	}
	if !slices.Contains(args, "--wait") {
		all = append(all, "--wait", natstest.Patience.String())
	}
	return all
}

// run runs a command line on the bus, and returns what it printed.
func (b *deadBus) run(status int, args ...string) string {
	b.Helper()
	var out, errOut bytes.Buffer
	got := execute(b.ctx(), b.on(args), &out, &errOut)
	if got != status {
		b.Fatalf("cxbridge %s: exit status %d, want %d\n%s%s", strings.Join(args, " "), got, status, &out, &errOut)
	}
	if status != exitDone && errOut.Len() == 0 {
		b.Errorf("cxbridge %s: exit status %d without a word", strings.Join(args, " "), status)
	}
	if status == exitDone {
		return out.String()
	}
	return out.String() + errOut.String()
}

// left are the sequences of the letters that are there.
func (b *deadBus) left() []uint64 {
	b.Helper()
	page, err := b.store.List(b.ctx(), deadletter.Filter{})
	if err != nil {
		b.Fatal(err)
	}
	all := []uint64{}
	for _, letter := range page.Letters {
		all = append(all, letter.Seq)
	}
	return all
}

func (b *deadBus) expectLeft(want ...uint64) {
	b.Helper()
	if got := b.left(); !slices.Equal(got, want) {
		b.Errorf("letters %v are left, want %v", got, want)
	}
}

// commands are the ids of the commands on the bus, by the id of the original.
func (b *deadBus) commands() map[string][]string {
	b.Helper()
	stream, err := b.js.Stream(b.ctx(), b.names.CommandsStream())
	if err != nil {
		b.Fatal(err)
	}
	ids := map[string][]string{}
	for seq := stream.CachedInfo().State.FirstSeq; seq > 0 && seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(b.ctx(), seq)
		if err != nil {
			b.Fatal(err)
		}
		original := m.Header.Get(subjects.HeaderReplayOf)
		ids[original] = append(ids[original], m.Header.Get(subjects.HeaderMsgID))
	}
	return ids
}

func decode[T any](b *deadBus, text string) T {
	b.Helper()
	var v T
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		b.Fatalf("%v in %s", err, text)
	}
	return v
}

func (b *deadBus) contains(text string, wants ...string) {
	b.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			b.Errorf("%q is missing in:\n%s", want, text)
		}
	}
}

func (b *deadBus) three() {
	b.Helper()
	b.put(b.message("c1", subjects.StatusRefused, subjects.ReasonNotFound), b.message("c2", subjects.StatusUnknown, subjects.ReasonOutcomeUnknown), b.webhook())
}

func TestDeadListShowsNoBodies(t *testing.T) {
	b := startDeadBus(t)
	b.contains(b.run(exitDone, "dead", "list"), "There are no dead letters.")
	b.three()
	for _, args := range [][]string{{"dead", "list"}, {"dead", "list", "--json"}} {
		text := b.run(exitDone, args...)
		b.contains(text, "c1", "c2", "not_found", "outcome_unknown", "malformed", "detail of c1")
		if strings.Contains(text, "secret") || strings.Contains(text, "\x1b") {
			t.Errorf("a body is shown:\n%s", text)
		}
	}
	for _, test := range []struct {
		args []string
		want []uint64
	}{
		{[]string{"--reason", "not_found,malformed"}, []uint64{1, 3}},
		{[]string{"--status", "unknown"}, []uint64{2}},
		{[]string{"--subject", "cx.dead.cmd.>"}, []uint64{1, 2}},
		{[]string{"--command", "c2"}, []uint64{2}},
		{[]string{"--older-than", "1d"}, nil},
		{[]string{"--newer-than", "1d"}, []uint64{1, 2, 3}},
		{[]string{"--after", "2"}, []uint64{3}},
		{[]string{"--limit", "2"}, []uint64{1, 2}},
	} {
		list := decode[bridge.Letters](b, b.run(exitDone, append([]string{"dead", "list", "--json"}, test.args...)...))
		var got []uint64
		for _, l := range list.Letters {
			got = append(got, l.Sequence)
		}
		if !slices.Equal(got, test.want) || (list.Next == 2) != (len(test.args) > 1 && test.args[0] == "--limit") {
			t.Errorf("dead list %v = %v, next %d; want %v", test.args, got, list.Next, test.want)
		}
	}
	b.contains(b.run(exitDone, "dead", "list", "--older-than", "1d"), "No dead letter matches.")
	b.contains(b.run(exitDone, "dead", "list", "--limit", "1"), "--after 1")
}

func TestDeadShowTellsTheWholeLetter(t *testing.T) {
	b := startDeadBus(t)
	b.three()
	for _, name := range []string{"1", "c1"} {
		b.contains(b.run(exitDone, "dead", "show", name), `{"conversation_id":42,"content":"something secret"}`, "attempt of c1", "Traceparent: 00-trace",
			"cx.cmd.message.send", "refused", "not_found")
	}
	if text := b.run(exitDone, "dead", "show", "1", "--no-body"); strings.Contains(text, "secret") {
		t.Errorf("the body is shown:\n%s", text)
	}
	shown := decode[letterDocuments](b, b.run(exitDone, "dead", "show", "1", "3", "c1", "--json"))
	if len(shown.Letters) != 2 || *shown.Letters[0].Body != `{"conversation_id":42,"content":"something secret"}` || !bytes.Contains(shown.Letters[1].Base64, []byte("secret")) {
		t.Errorf("dead show --json = %+v", shown)
	}
	b.contains(b.run(exitFailed, "dead", "show", "99"), "99: no such dead letter")
	b.contains(b.run(exitFailed, "dead", "show", "nobody"), "nobody: no such dead letter")
}

// letterDocuments is what dead show prints.
type letterDocuments struct {
	Letters []deadletter.Document `json:"letters"`
}

func TestDeadReplayPublishesANewCommand(t *testing.T) {
	b := startDeadBus(t)
	b.three()
	b.contains(b.run(exitDone, "dead", "replay", "c1", "--dry-run"), "Would replay dead letter 1 (command c1).")
	b.contains(b.run(exitFailed, "dead", "replay", "1", "99"), "no such dead letter")
	b.contains(b.run(exitFailed, "dead", "replay", "3"), "only commands can be replayed")
	if made := b.commands(); len(made) > 0 {
		t.Fatalf("commands %v were published", made)
	}
	b.expectLeft(1, 2, 3)

	text := b.run(exitDone, "dead", "replay", "1", "c1", "--rate", "100")
	made := b.commands()
	if len(made) != 1 || len(made["c1"]) != 1 || made["c1"][0] == "c1" {
		t.Fatalf("commands %v were published", made)
	}
	b.contains(text, "as command "+made["c1"][0], "1 letter replayed")
	b.expectLeft(2, 3)

	answer := decode[bridge.Replayed](b, b.run(exitDone, "dead", "replay", "--status", "unknown", "--keep", "--json"))
	if len(answer.Letters) != 1 || answer.Letters[0].ReplayID != b.commands()["c2"][0] {
		t.Errorf("dead replay --json = %+v", answer)
	}
	b.expectLeft(2, 3)
	b.contains(b.run(exitDone, "dead", "replay", "--reason", "timeout"), "No dead letter matches.")
	b.contains(b.run(exitDone, "dead", "replay", "--all"), "only commands can be replayed", "1 letter replayed")
	b.expectLeft(3)
}

func TestDeadDropDeletesWhatWasPicked(t *testing.T) {
	b := startDeadBus(t)
	b.three()
	b.contains(b.run(exitDone, "dead", "drop", "--all", "--dry-run"), "Would drop dead letter 3")
	b.run(exitFailed, "dead", "drop", "1", "99")
	b.expectLeft(1, 2, 3)
	b.contains(b.run(exitDone, "dead", "drop", "c2"), "Dropped dead letter 2 (command c2).")
	b.expectLeft(1, 3)
	b.contains(b.run(exitDone, "dead", "drop", "--reason", "not_found", "--json"), `"sequence": 1`)
	b.expectLeft(3)
	b.contains(b.run(exitDone, "dead", "drop", "--all"), "Dropped dead letter 3.")
	b.expectLeft()
	b.contains(b.run(exitDone, "dead", "drop", "--all"), "No dead letter matches.")
}

func TestToolsTellThatNoBridgeHasRun(t *testing.T) {
	t.Setenv(configVariable, "")
	b := &deadBus{T: t, url: natstest.Start(t).URL}
	for _, args := range [][]string{{"dead", "list"}, {"dead", "replay", "--all"}, {"dead", "drop", "1"}, {"explain", "x"}, {"pause"}, {"resume"}} {
		b.contains(b.run(exitFailed, args...), `no bridge has run on this bus with subjects.prefix "cx"`)
	}
}
