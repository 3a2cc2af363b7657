package command

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// TestAYoungCommandIsCarriedOutWhateverAPositionTells: the stream lost its end, and has given the numbers again before anybody looked.
func TestAYoungCommandIsCarriedOutWhateverAPositionTells(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]written{
		"without a time":                   {Highest: 3},
		"of before":                        {Highest: 3, Last: 3, At: time.Now().Add(-time.Millisecond)},
		"of before, with all done":         {Floor: 2, Last: 3, At: time.Now().Add(-time.Millisecond)},
		"of a clock that was set back":     {Highest: 3, Last: 3, At: time.Now().Add(time.Hour)},
		"of that, and some is not done":    {Floor: 1, Highest: 3, Open: sequences{2}, Last: 3, At: time.Now().Add(time.Hour)},
		"of before, and beyond it was one": {Floor: 1, Highest: 2, Last: 3, At: time.Now().Add(-time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
			if err != nil {
				t.Fatal(err)
			}
			w.Version, w.Epoch, w.Stream = positionVersion, 5, stream.CachedInfo().Created
			b.write(t, w)
			for n := range 3 {
				b.send(t, fmt.Sprint(n), n, "x")
			}
			run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 9)
			for n := range 3 {
				if r := b.result(t, subjects.MessageSend, fmt.Sprint(n)); r.Status != subjects.StatusDone {
					t.Errorf("%+v", r)
				}
			}
		})
	}
}

// TestAPositionThatDoesNotHoldIsReplaced, as old commands are deleted up to what is written down.
func TestAPositionThatDoesNotHoldIsReplaced(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	b.write(t, written{Version: positionVersion, Epoch: 5, Floor: 8, Highest: 9, Open: sequences{9}, Stream: s.reader.created, Last: 9, At: time.Now().Add(-time.Hour)})
	if _, err := s.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, _, err := s.readPosition(t.Context()); err != nil || !w.equal(written{Floor: 6}) {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestATermIsOverWhenTheStreamGaveItsSequencesAgain: commands with the numbers of those that are held would be taken for them.
func TestATermIsOverWhenTheStreamGaveItsSequencesAgain(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	stream, err := b.js.Stream(t.Context(), s.stream)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	s.held.add(&job{seq: 7, stored: m.Time.UnixNano()})
	if _, err := s.located(t); err != nil {
		t.Error(err)
	}
	s.held.add(&job{seq: 8, stored: m.Time.UnixNano() - 1})
	if _, err := s.located(t); !errors.Is(err, ErrTermOver) {
		t.Errorf("%v", err)
	}
}

// asked counts what the ledger is asked for.
type asked struct {
	records
	times atomic.Int64
}

func (a *asked) Find(ctx context.Context, commandID string) (ledger.Record, error) {
	a.times.Add(1)
	return a.records.Find(ctx, commandID)
}

// TestATakeOverDoesNotLookUpWhatIsKnownToBeDone, however long a conversation that waits has kept the position where it was.
func TestATakeOverDoesNotLookUpWhatIsKnownToBeDone(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(_ Operation, _, content string, attempt int) behaviour {
		if content == "waits" && attempt == 1 {
			return behaviour{refuse: errUnavailable}
		}
		return behaviour{}
	}
	runner := newRunner(t, b, p, patientConfig())
	first := run(t, runner, 1)
	b.send(t, "waits", 2, "waits")
	const others = 50
	for n := range others {
		b.send(t, fmt.Sprint(n), 1, fmt.Sprint("text ", n))
	}
	for n := range others {
		b.result(t, subjects.MessageSend, fmt.Sprint(n))
	}
	natstest.Eventually(t, "for the position to tell of all of them", func() bool {
		w := b.position(t, runner)
		return w.Highest == others+1 && len(w.Open) == 1
	})
	first.stop()
	if err := first.wait(t); err != nil {
		t.Fatal(err)
	}
	second := newRunner(t, b, p, testConfig())
	counted := &asked{records: second.ledger}
	second.ledger = counted
	run(t, second, 2)
	if r := b.result(t, subjects.MessageSend, "waits"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	b.settled(t, 2)
	if n := counted.times.Load(); n != 1 {
		t.Errorf("%d commands were looked up", n)
	}
	if n := b.count(t, b.names.ResultsStream()); n != others+1 {
		t.Errorf("%d results", n)
	}
}
