package deadletter

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// commands returns all commands that are in the stream.
func (s *Store) commands(t *testing.T) []*jetstream.RawStreamMsg {
	t.Helper()
	stream, err := s.js.Stream(testContext(t), s.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	var all []*jetstream.RawStreamMsg
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		message, err := stream.GetMsg(testContext(t), seq)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, message)
	}
	return all
}

func TestAReplayIsANewCommandThatNamesItsOriginal(t *testing.T) {
	s := testStore(t)
	letter := testLetter(s.names, "a")
	letter.Original.Subject = "cx.cmd.message.send.42"
	letter.Original.Header = nats.Header{
		"Nats-Msg-Id": {"a"}, "Nats-Schedule": {"@at 2030-01-01T00:00:00Z"}, "ce-id": {"a"}, "traceparent": {"00-1"}, subjects.HeaderReplayOf: {"z"},
		subjects.HeaderExpiresAt: {"2020-01-01T00:00:00Z"}, subjects.HeaderOnlyIf: {"still-with-bot"},
	}
	s.mustPut(t, letter)
	stored := s.mustList(t, Filter{}).Letters[0]
	first, err := s.Replay(testContext(t), stored, true)
	if err != nil {
		t.Fatal(err)
	}
	second, err := s.Replay(testContext(t), stored, true)
	if err != nil || first == second || first == "a" {
		t.Fatalf("ids %s and %s, %v", first, second, err)
	}
	commands := s.commands(t)
	if len(commands) != 2 || commands[0].Subject != "cx.cmd.message.send.42" || string(commands[0].Data) != string(letter.Original.Data) {
		t.Fatalf("commands %+v", commands)
	}
	want := nats.Header{
		"Nats-Expected-Stream": {s.names.CommandsStream()}, "Nats-Msg-Id": {first}, "ce-id": {first}, "traceparent": {"00-1"},
		subjects.HeaderReplayOf: {"a"}, subjects.HeaderOnlyIf: {"still-with-bot"},
	}
	if diff := cmp.Diff(want, published(commands[0])); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
}

// TestALetterThatIsNotKeptIsReplayedAsOneCommand, however often: its replay may have been published without anybody getting to know.
func TestALetterThatIsNotKeptIsReplayedAsOneCommand(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"), testLetter(s.names, "b"))
	letters := s.mustList(t, Filter{}).Letters
	ids := map[string]bool{}
	for range 3 {
		for _, letter := range letters {
			id, err := s.Replay(testContext(t), letter, false)
			if err != nil {
				t.Fatal(err)
			}
			ids[id] = true
		}
	}
	told := s.replayAll(t, Filter{}, Bulk{Drop: true})
	for _, r := range told {
		ids[r.CommandID] = true
	}
	if len(ids) != 2 || len(s.commands(t)) != 2 {
		t.Errorf("ids %v, %d commands", ids, len(s.commands(t)))
	}
	if left := s.mustList(t, Filter{}); len(left.Letters) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestAReplayWhoseAcknowledgementIsLostIsPublishedAgain with the same id.
func TestAReplayWhoseAcknowledgementIsLostIsPublishedAgain(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"))
	letter := s.mustList(t, Filter{}).Letters[0]
	s.js = &deaf{JetStream: s.js, lost: replayTries - 1}
	if _, err := s.Replay(testContext(t), letter, true); err != nil || len(s.commands(t)) != 1 {
		t.Errorf("%d commands, %v", len(s.commands(t)), err)
	}
	s.js = &deaf{JetStream: s.js, lost: replayTries}
	if _, err := s.Replay(testContext(t), letter, true); !errors.Is(err, nats.ErrTimeout) || len(s.commands(t)) != 2 {
		t.Errorf("%d commands, %v", len(s.commands(t)), err)
	}
}

// deaf does not hear some acknowledgements.
type deaf struct {
	jetstream.JetStream
	lost int
}

func (d *deaf) PublishMsg(ctx context.Context, message *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := d.JetStream.PublishMsg(ctx, message, opts...)
	if d.lost--; d.lost >= 0 && err == nil {
		return nil, nats.ErrTimeout
	}
	return ack, err
}

func TestAnExpiryThatHasNotPassedIsKept(t *testing.T) {
	s := testStore(t)
	letter := testLetter(s.names, "a")
	expires := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	letter.Original.Header.Set(subjects.HeaderExpiresAt, expires)
	s.mustPut(t, letter)
	if _, err := s.Replay(testContext(t), s.mustList(t, Filter{}).Letters[0], false); err != nil {
		t.Fatal(err)
	}
	if got := s.commands(t)[0].Header.Get(subjects.HeaderExpiresAt); got != expires {
		t.Errorf("expires at %q", got)
	}
}

func TestOnlyCommandsAreReplayed(t *testing.T) {
	s := testStore(t)
	elsewhere := testLetter(s.names, "a")
	elsewhere.Original.Subject = "cx.message.created"
	s.mustPut(t, webhookLetter(s.names, "{"), elsewhere)
	for _, letter := range s.mustList(t, Filter{}).Letters {
		if _, err := s.Replay(testContext(t), letter, false); !errors.Is(err, ErrNotReplayable) {
			t.Errorf("replay of %s: %v", letter.Subject, err)
		}
	}
	if n := len(s.commands(t)); n != 0 {
		t.Errorf("%d commands", n)
	}
}

// replayAll replays and returns what was told.
func (s *Store) replayAll(t *testing.T, filter Filter, bulk Bulk) []Replayed {
	t.Helper()
	var all []Replayed
	err := s.ReplayAll(testContext(t), filter, bulk, func(r Replayed) error {
		all = append(all, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestABulkReplay(t *testing.T) {
	s := testStore(t)
	const letters = pageSize + 20
	for i := range letters {
		s.mustPut(t, testLetter(s.names, fmt.Sprint("c", i)))
	}
	s.mustPut(t, webhookLetter(s.names, "{"))
	if told := s.replayAll(t, Filter{}, Bulk{DryRun: true, Drop: true}); len(told) != letters+1 || told[0].CommandID != "" || len(s.commands(t)) != 0 {
		t.Errorf("dry run: %d told, %d commands", len(told), len(s.commands(t)))
	}
	if told := s.replayAll(t, Filter{Limit: 3}, Bulk{}); len(told) != 3 || len(s.commands(t)) != 3 {
		t.Errorf("limited: %d told, %d commands", len(told), len(s.commands(t)))
	}
	told := s.replayAll(t, Filter{}, Bulk{Drop: true, PerSecond: 100_000})
	commands := s.commands(t)[3:]
	if len(told) != letters+1 || len(commands) != letters {
		t.Fatalf("%d told, %d commands", len(told), len(commands))
	}
	for i, command := range commands {
		if command.Header.Get(subjects.HeaderReplayOf) != fmt.Sprint("c", i) || told[i].CommandID != command.Header.Get(subjects.HeaderMsgID) {
			t.Errorf("command %d is %v, told %s", i, command.Header, told[i].CommandID)
		}
	}
	if !errors.Is(told[letters].Err, ErrNotReplayable) {
		t.Errorf("webhook: %v", told[letters].Err)
	}
	if left := s.mustList(t, Filter{}); len(left.Letters) != 1 {
		t.Errorf("left: %s", ids(left.Letters))
	}
}

func TestLettersThatComeDuringAReplayAreNotReplayed(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"), testLetter(s.names, "b"))
	var told int
	err := s.ReplayAll(testContext(t), Filter{}, Bulk{}, func(r Replayed) error {
		told++
		return Put(testContext(t), s.js, s.names, testLetter(s.names, r.CommandID))
	})
	if err != nil || told != 2 {
		t.Errorf("%d replayed, %v", told, err)
	}
}

func TestAReplayEndsWithItsReport(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"), testLetter(s.names, "b"))
	enough := errors.New("enough")
	if err := s.ReplayAll(testContext(t), Filter{}, Bulk{}, func(Replayed) error { return enough }); !errors.Is(err, enough) || len(s.commands(t)) != 1 {
		t.Errorf("%d commands, %v", len(s.commands(t)), err)
	}
}

func TestABulkDrop(t *testing.T) {
	s := testStore(t)
	for i := range 5 {
		s.mustPut(t, testLetter(s.names, fmt.Sprint("c", i)))
	}
	for _, dry := range []bool{true, false} {
		var told []Stored
		err := s.DropAll(testContext(t), Filter{Limit: 3}, dry, func(letter Stored) error {
			told = append(told, letter)
			return nil
		})
		if err != nil || ids(told) != "c0 c1 c2" {
			t.Errorf("told %s, %v", ids(told), err)
		}
	}
	if left := ids(s.mustList(t, Filter{}).Letters); left != "c3 c4" {
		t.Errorf("left: %s", left)
	}
}
