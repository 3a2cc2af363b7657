package command

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// stored returns when an event was stored.
func (s *sightings) stored(t *testing.T, conversation string, message int) time.Time {
	t.Helper()
	for _, e := range s.byConversation[conversation] {
		if e.message.String() == fmt.Sprint(message) {
			return time.Unix(0, e.at)
		}
	}
	t.Fatalf("message %d was not read", message)
	return time.Time{}
}

// TestAReadingThatIsAlwaysInUseForgetsWhatNobodyAsksFor: it would hold all events since its beginning.
func TestAReadingThatIsAlwaysInUseForgetsWhatNobodyAsksFor(t *testing.T) {
	b := newBus(t)
	s := newSightings(b.js, b.names, DefaultEventLayout())
	for n := range 10 {
		b.event(t, n+1, n+1, subjects.Outgoing, "x")
	}
	b.event(t, 11, 1, subjects.Outgoing, "x")
	begin := time.Now().Add(-time.Minute)
	count := func(from time.Time) int {
		found, err := s.of(t.Context(), "1", from)
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if n := count(begin); n != 2 {
		t.Fatalf("%d events", n)
	}
	last := s.stored(t, "1", 11)
	for range 3 { // periods
		s.reading.period.began = s.reading.period.began.Add(-readPeriod)
		count(last)
	}
	if n := len(s.byConversation); n != 1 {
		t.Errorf("%d conversations are held", n)
	}
	if n := count(begin); n != 2 || len(s.byConversation) != 10 {
		t.Errorf("%d events, when they are asked for again", n)
	}
}

func TestAReadingFollowsAStreamThatWasMadeAnew(t *testing.T) {
	b := newBus(t)
	s := newSightings(b.js, b.names, DefaultEventLayout())
	for n := range 10 {
		b.event(t, n+1, 1, subjects.Outgoing, "x")
	}
	begin := time.Now().Add(-time.Minute)
	if found, err := s.of(t.Context(), "1", begin); err != nil || len(found) != 10 {
		t.Fatal(err, len(found))
	}
	b.replace(t, b.names.EventsStream())
	b.event(t, 11, 1, subjects.Outgoing, "x")
	if found, err := s.of(t.Context(), "1", begin); err != nil || len(found) != 1 {
		t.Errorf("%d events, %v", len(found), err)
	}
}

// TestFormerResultsAreThoseSinceTheTimeAskedFor, however far back somebody else had them read: what a search finds may only depend on what is
// stored.
func TestFormerResultsAreThoseSinceTheTimeAskedFor(t *testing.T) {
	b := newBus(t)
	f := newFormer(b.js, b.names)
	put := func(id string) {
		body := fmt.Sprintf(`{"command_id":%q,"command":"conversation.start","status":"unknown","conversation_id":7}`, id)
		m := &nats.Msg{Subject: b.names.Result(subjects.ConversationStart, id), Data: []byte(body)}
		if _, err := b.js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	begin := time.Now().Add(-time.Minute)
	all, err := f.of(t.Context(), "7", begin)
	if err != nil || len(all) != 1 {
		t.Fatal(err, len(all))
	}
	since := all[0].FinishedAt.Add(1)
	put("b")
	for name, read := range map[string]func() ([]subjects.Result, error){
		"of":    func() ([]subjects.Result, error) { return f.of(t.Context(), "7", since) },
		"start": func() ([]subjects.Result, error) { return f.startedSince(t.Context(), since) },
	} {
		if found, err := read(); err != nil || len(found) != 1 || found[0].CommandID != "b" {
			t.Errorf("%s: %v, %v", name, found, err)
		}
	}
}

// TestResultsThatTellNobodyAnythingAreNotKept: in a quarter of an hour there may be a million.
func TestResultsThatTellNobodyAnythingAreNotKept(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	f := newFormer(b.js, b.names)
	id := subjects.NumberID
	for name, r := range map[string]subjects.Result{
		"sent":                     {Command: subjects.MessageSend, Status: subjects.StatusDone, Attempts: 1, MessageID: id(5)},
		"sent in the end":          {Command: subjects.MessageSend, Status: subjects.StatusDone, Attempts: 2, MessageID: id(6)},
		"sent, and not said where": {Command: subjects.MessageSend, Status: subjects.StatusDone, Attempts: 1},
		"unknown":                  {Command: subjects.MessageSend, Status: subjects.StatusUnknown, Attempts: 1},
		"refused":                  {Command: subjects.MessageSend, Status: subjects.StatusRefused, Attempts: 1},
		"refused in the end":       {Command: subjects.MessageSend, Status: subjects.StatusRefused, Attempts: 3},
		"handed off":               {Command: subjects.ConversationHandoff, Status: subjects.StatusDone, Attempts: 1},
		"finished":                 {Command: subjects.ConversationFinish, Status: subjects.StatusDone, Attempts: 2},
		"started":                  {Command: subjects.ConversationStart, Status: subjects.StatusDone, Attempts: 1},
	} {
		r.CommandID, r.ConversationID = name, id(7)
		body, err := json.Marshal(r)
		if err == nil {
			_, err = b.js.Publish(t.Context(), b.names.Result(r.Command, r.CommandID), body)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	found, err := f.of(t.Context(), "7", time.Now().Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var kept []string
	for _, r := range found {
		kept = append(kept, r.CommandID)
	}
	slices.Sort(kept)
	if want := []string{"handed off", "refused in the end", "sent in the end", "sent, and not said where", "unknown"}; !slices.Equal(kept, want) {
		t.Errorf("kept are %q", kept)
	}
	if started, err := f.startedSince(t.Context(), time.Now().Add(-time.Hour)); err != nil || len(started) != 1 {
		t.Errorf("%+v, %v", started, err)
	}
}
