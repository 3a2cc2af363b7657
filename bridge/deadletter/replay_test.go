package deadletter

import (
	"context"
	"errors"
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
	if len(ids) != 2 || len(s.commands(t)) != 2 {
		t.Errorf("ids %v, %d commands", ids, len(s.commands(t)))
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
