package deadletter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func testNames(t *testing.T) subjects.Names {
	t.Helper()
	names, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// testStore returns a store on a server that has the streams of dead letters and of commands.
func testStore(t *testing.T, opts ...natstest.Option) *Store {
	t.Helper()
	js := natstest.Start(t, opts...).JetStream(t)
	names := testNames(t)
	for _, s := range names.Streams(subjects.StreamSettings{Replicas: 1, DeadMaxAge: time.Hour, LedgerTTL: time.Hour, DuplicateWindow: time.Hour}) {
		if s.Name == names.DeadStream() || s.Name == names.CommandsStream() {
			natstest.CreateStream(t, js, jetstream.StreamConfig{
				Name: s.Name, Subjects: s.Subjects, MaxAge: s.MaxAge, Duplicates: s.DuplicateWindow, AllowDirect: s.AllowDirect,
				AllowMsgSchedules: s.AllowMsgSchedules, AllowMsgTTL: s.AllowMsgTTL,
			})
		}
	}
	return NewStore(js, names)
}

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), natstest.Patience)
	t.Cleanup(cancel)
	return ctx
}

func testLetter(names subjects.Names, id string) Letter {
	return Letter{
		Subject: names.DeadCommand(subjects.MessageSend),
		Original: Original{
			Subject: names.Command(subjects.MessageSend),
			Header:  nats.Header{"Traceparent": {"00-1"}, "X-Two": {"a", "b"}, subjects.HeaderReplyTo: {"_INBOX.x"}},
			Data:    []byte(`{"conversation_id":42,"content":"hello"}`),
		},
		CommandID: id, Status: subjects.StatusRefused, Reason: subjects.ReasonNotFound, Detail: "no such conversation", Attempts: 2,
		History: []subjects.Attempt{
			{At: subjects.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC)}, HTTPStatus: 503, Reason: subjects.ReasonUnavailable, Detail: "busy"},
			{At: subjects.Time{Time: time.Date(2026, 1, 2, 3, 4, 6, 0, time.UTC)}, HTTPStatus: 404, Reason: subjects.ReasonNotFound},
		},
		FailedAt: time.Date(2026, 1, 2, 3, 4, 7, 8e6, time.UTC),
	}
}

func webhookLetter(names subjects.Names, body string) Letter {
	return Letter{Subject: names.DeadWebhook(), Original: Original{Data: []byte(body)}, Reason: subjects.ReasonMalformed, FailedAt: time.Now()}
}

func (s *Store) mustPut(t *testing.T, letters ...Letter) {
	t.Helper()
	for _, letter := range letters {
		if err := Put(testContext(t), s.js, s.names, letter); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Store) mustList(t *testing.T, filter Filter) Page {
	t.Helper()
	page, err := s.List(testContext(t), filter)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func ids(letters []Stored) string {
	var all []string
	for _, letter := range letters {
		all = append(all, letter.CommandID)
	}
	return strings.Join(all, " ")
}

func TestALetterIsKeptWhole(t *testing.T) {
	s := testStore(t)
	want := testLetter(s.names, "a")
	s.mustPut(t, want)
	found := s.mustList(t, Filter{})
	if len(found.Letters) != 1 || found.Next != 0 {
		t.Fatalf("%+v", found)
	}
	if diff := cmp.Diff(want, found.Letters[0].Letter); diff != "" {
		t.Errorf("letter (-want +got)\n%s", diff)
	}
	got, err := s.Get(testContext(t), found.Letters[0].Seq)
	if err != nil || got.StoredAt.IsZero() {
		t.Fatalf("%+v, %v", got, err)
	}
	if diff := cmp.Diff(found.Letters[0], got); diff != "" {
		t.Errorf("listed and got (-listed +got)\n%s", diff)
	}
}

// published returns the headers without those that the server adds when it is asked for the message.
func published(message *jetstream.RawStreamMsg) nats.Header {
	for _, name := range []string{"Nats-Sequence", "Nats-Stream", "Nats-Subject", "Nats-Time-Stamp"} {
		message.Header.Del(name)
	}
	return message.Header
}

func TestHeadersOfALetter(t *testing.T) {
	s := testStore(t)
	letter := testLetter(s.names, "a")
	letter.Original.Header = nats.Header{
		"Nats-Expected-Stream": {"ANOTHER"}, "nats-ttl": {"1s"}, subjects.HeaderMsgID: {"a"}, subjects.HeaderStatus: {"mine"}, "Kept": {"yes"},
	}
	letter.Detail, letter.History = "two\r\nlines", nil
	s.mustPut(t, letter)
	stream, err := s.js.Stream(testContext(t), s.names.DeadStream())
	if err != nil {
		t.Fatal(err)
	}
	message, err := stream.GetMsg(testContext(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := nats.Header{
		"Nats-Expected-Stream": {s.names.DeadStream()}, // of our own publish
		subjects.HeaderMsgID:   {"dead-a"}, subjects.HeaderCommandID: {"a"}, subjects.HeaderStatus: {"refused"}, subjects.HeaderReason: {"not_found"},
		subjects.HeaderDetail: {"two lines"}, subjects.HeaderAttempts: {"2"}, subjects.HeaderHistory: {"[]"},
		subjects.HeaderOriginalSubject: {"cx.cmd.message.send"}, subjects.HeaderFailedAt: {"2026-01-02T03:04:07.008Z"}, "Kept": {"yes"},
	}
	if diff := cmp.Diff(want, published(message)); diff != "" {
		t.Errorf("headers (-want +got)\n%s", diff)
	}
}

func TestTheSameLetterIsStoredOnce(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"), testLetter(s.names, "a"), webhookLetter(s.names, "{"), webhookLetter(s.names, "{"), webhookLetter(s.names, "["))
	if found := s.mustList(t, Filter{}); len(found.Letters) != 3 {
		t.Errorf("%d letters", len(found.Letters))
	}
}

func TestALetterThatIsTooLargeIsCut(t *testing.T) {
	s := testStore(t)
	huge := testLetter(s.names, "a")
	huge.Original.Data = bytes.Repeat([]byte("x"), 1<<20-100)
	long := testLetter(s.names, "b")
	for range 20_000 {
		long.History = append(long.History, long.History[0])
	}
	s.mustPut(t, huge, long)
	found := s.mustList(t, Filter{}).Letters
	if len(found) != 2 || !strings.Contains(found[0].Detail, "of 1048476 bytes") || len(found[0].Original.Data) < 1<<18 {
		t.Errorf("detail %q with %d bytes", found[0].Detail, len(found[0].Original.Data))
	}
	if !bytes.Equal(found[1].Original.Data, long.Original.Data) || len(found[1].History) < 50 || found[1].Detail != long.Detail {
		t.Errorf("letter with a long history: %s", found[1].Detail)
	}
}

func TestALetterNeedsASubjectAndTheStream(t *testing.T) {
	s := testStore(t)
	letter := testLetter(s.names, "a")
	letter.Subject = ""
	if err := Put(testContext(t), s.js, s.names, letter); err == nil {
		t.Error("a letter without a subject was put")
	}
	letter.Subject = s.names.Command(subjects.MessageSend)
	if err := Put(testContext(t), s.js, s.names, letter); err == nil {
		t.Error("a letter was put into another stream")
	}
}

func TestListPicksAndPages(t *testing.T) {
	s := testStore(t)
	for i := range 9 {
		letter := testLetter(s.names, fmt.Sprint("c", i))
		if i%3 == 0 {
			letter.Reason, letter.Status, letter.Subject = subjects.ReasonTimeout, subjects.StatusUnknown, s.names.DeadCommand(subjects.ContactCreate)
		}
		s.mustPut(t, letter)
	}
	s.mustPut(t, webhookLetter(s.names, "{"))
	for name, c := range map[string]struct {
		filter Filter
		want   string
	}{
		"reason":      {Filter{Reasons: []subjects.Reason{subjects.ReasonTimeout}}, "c0 c3 c6"},
		"status":      {Filter{Statuses: []subjects.Status{subjects.StatusUnknown, subjects.StatusInvalid}}, "c0 c3 c6"},
		"subject":     {Filter{Subject: "cx.dead.cmd.contact.*"}, "c0 c3 c6"},
		"command":     {Filter{CommandID: "c4"}, "c4"},
		"newer":       {Filter{NewerThan: time.Hour, CommandID: "c4"}, "c4"},
		"older":       {Filter{OlderThan: time.Hour}, ""},
		"after":       {Filter{After: 7}, "c7 c8 "},
		"after all":   {Filter{After: 70}, ""},
		"webhooks":    {Filter{Subject: s.names.DeadWebhook()}, ""},
		"no subject":  {Filter{Subject: "cx.dead.cmd.conversation.start"}, ""},
		"limit":       {Filter{Limit: 2}, "c0 c1"},
		"exact limit": {Filter{Subject: "cx.dead.cmd.contact.*", Limit: 3}, "c0 c3 c6"},
	} {
		page := s.mustList(t, c.filter)
		if got := ids(page.Letters); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if (page.Next != 0) != (name == "limit") {
			t.Errorf("%s: next %d", name, page.Next)
		}
	}
	var all []Stored
	filter := Filter{Limit: 4, Subject: "cx.dead.cmd.>"}
	for {
		page := s.mustList(t, filter)
		all = append(all, page.Letters...)
		if filter.After = page.Next; filter.After == 0 {
			break
		}
	}
	if got := ids(all); got != "c0 c1 c2 c3 c4 c5 c6 c7 c8" {
		t.Errorf("pages: %s", got)
	}
}

func TestListLeavesNoConsumerBehind(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"))
	s.mustList(t, Filter{})
	stream, err := s.js.Stream(testContext(t), s.names.DeadStream())
	if err != nil || stream.CachedInfo().State.Consumers != 0 {
		t.Errorf("%d consumers, %v", stream.CachedInfo().State.Consumers, err)
	}
}

func TestAStrangeLetterIsListed(t *testing.T) {
	s := testStore(t)
	message := &nats.Msg{Subject: "cx.dead.cmd.message.send", Header: nats.Header{
		subjects.HeaderAttempts: {"many"}, subjects.HeaderHistory: {"{"}, subjects.HeaderFailedAt: {"yesterday"}, subjects.HeaderReason: {"x"},
	}}
	if _, err := s.js.PublishMsg(testContext(t), message); err != nil {
		t.Fatal(err)
	}
	found := s.mustList(t, Filter{}).Letters
	if len(found) != 1 || found[0].Damage == nil || found[0].Reason != "x" {
		t.Fatalf("%+v", found)
	}
	if _, err := s.Replay(testContext(t), found[0], false); !errors.Is(err, ErrNotReplayable) {
		t.Errorf("replay: %v", err)
	}
	if err := s.Drop(testContext(t), found[0].Seq); err != nil {
		t.Error(err)
	}
}

func TestADroppedLetterIsGone(t *testing.T) {
	s := testStore(t)
	s.mustPut(t, testLetter(s.names, "a"), testLetter(s.names, "b"))
	if err := s.Drop(testContext(t), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(testContext(t), 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	for _, seq := range []uint64{1, 99} {
		if err := s.Drop(testContext(t), seq); !errors.Is(err, ErrNotFound) {
			t.Errorf("drop %d: %v", seq, err)
		}
	}
	if got := ids(s.mustList(t, Filter{}).Letters); got != "b" {
		t.Errorf("left: %s", got)
	}
}
