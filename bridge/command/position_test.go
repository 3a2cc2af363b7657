package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// deaf is a bus on which some consumers do not answer.
type deaf struct {
	jetstream.JetStream
	names map[string]bool
}

func (d *deaf) Stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := d.JetStream.Stream(ctx, name)
	return &deafStream{s, d.names}, err
}

type deafStream struct {
	jetstream.Stream
	names map[string]bool
}

func (d *deafStream) Consumer(ctx context.Context, name string) (jetstream.Consumer, error) {
	if d.names[name] {
		return nil, &jetstream.APIError{Code: 503, ErrorCode: 10008, Description: "JetStream system temporarily unavailable"}
	}
	return d.Stream.Consumer(ctx, name)
}

// newShift is a term on a bus on which the consumer of epoch 4 is at 3 and that of epoch 5 at 6, of 10 commands.
func newShift(t *testing.T, b *bus, silent ...string) *shift {
	t.Helper()
	for n := range 10 {
		b.send(t, fmt.Sprint(n), 1, "x")
	}
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	for name, floor := range map[string]int{consumerName(4): 3, consumerName(5): 6} {
		c, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy})
		if err != nil {
			t.Fatal(err)
		}
		for range floor {
			m, err := c.Next()
			if err == nil {
				err = m.DoubleAck(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	d := &deaf{JetStream: b.js, names: map[string]bool{}}
	for _, name := range silent {
		d.names[name] = true
	}
	r := newRunner(t, b, newPlatform(t, b), testConfig())
	r.js, r.silenceLimit = d, 0
	s := &shift{Runner: r, epochNumber: 9, stream: b.names.CommandsStream(), held: newHeld()}
	s.hard, s.reader.created = t.Context(), stream.CachedInfo().Created
	return s
}

func (b *bus) write(t *testing.T, w written) {
	t.Helper()
	body, err := json.Marshal(w)
	if err == nil {
		_, err = b.bucket.Put(t.Context(), positionKey, body)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (s *shift) located(t *testing.T) (*position, error) {
	t.Helper()
	stream, err := s.js.Stream(t.Context(), s.stream)
	if err != nil {
		t.Fatal(err)
	}
	return s.locate(t.Context(), stream)
}

func TestWhereATermGoesOn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		written      *written
		otherStream  bool
		silent       []string
		limit        time.Duration
		gone         []string
		floor, tried uint64 // 0: it waits
	}{
		"what consumers tell":                      {floor: 6, tried: 6},
		"a record that is behind":                  {written: &written{Version: 1, Epoch: 5, Floor: 2}, floor: 6, tried: 6},
		"a record that is ahead":                   {written: &written{Version: 1, Epoch: 5, Floor: 8}, floor: 6, tried: 6},
		"a record beyond the end of the stream":    {written: &written{Version: 1, Epoch: 5, Floor: 11}, floor: 6, tried: 6},
		"a record of more than the stream has":     {written: &written{Version: 1, Epoch: 5, Floor: 2, Highest: 11}, limit: time.Hour},
		"beyond the end, which may be a moment's":  {written: &written{Version: 1, Epoch: 5, Floor: 11}, limit: time.Hour},
		"the later consumer was deleted":           {written: &written{Version: 1, Epoch: 5, Floor: 4}, gone: []string{consumerName(5)}, floor: 4, tried: 10},
		"deleted, and the record is beyond":        {written: &written{Version: 1, Epoch: 5, Floor: 11}, gone: []string{consumerName(5)}, floor: 3, tried: 10},
		"deleted, and written by this very term":   {written: &written{Version: 1, Epoch: 9, Floor: 4}, gone: []string{consumerName(5)}, floor: 4, tried: 3},
		"a record of another stream":               {written: &written{Version: 1, Epoch: 5, Floor: 8}, otherStream: true, floor: 6, tried: 6},
		"a record of a later version":              {written: &written{Version: 2, Epoch: 5, Floor: 8}, floor: 6, tried: 6},
		"silent, and nothing written":              {silent: []string{consumerName(5)}},
		"silent, and written by an earlier term":   {written: &written{Version: 1, Epoch: 4, Floor: 3}, silent: []string{consumerName(5)}},
		"silent, and written for another stream":   {written: &written{Version: 1, Epoch: 5, Floor: 5}, otherStream: true, silent: []string{consumerName(5)}},
		"silent, and written by that term":         {written: &written{Version: 1, Epoch: 5, Floor: 5}, silent: []string{consumerName(5)}, floor: 5, tried: 10},
		"silent, and the other one is ahead":       {written: &written{Version: 1, Epoch: 5, Floor: 2}, silent: []string{consumerName(5)}, floor: 3, tried: 10},
		"silent, and written by this very term":    {written: &written{Version: 1, Epoch: 9, Floor: 5}, silent: []string{consumerName(5)}, floor: 5, tried: 10},
		"both silent":                              {written: &written{Version: 1, Epoch: 5, Floor: 5}, silent: []string{consumerName(4), consumerName(5)}, floor: 5, tried: 10},
		"silent for a moment":                      {written: &written{Version: 1, Epoch: 5, Floor: 5}, silent: []string{consumerName(5)}, limit: time.Hour},
		"the earlier one is silent, the later not": {written: &written{Version: 1, Epoch: 4, Floor: 1}, silent: []string{consumerName(4)}, floor: 6, tried: 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBus(t)
			s := newShift(t, b, c.silent...)
			s.silenceLimit = c.limit
			for _, name := range c.gone {
				if err := b.js.DeleteConsumer(t.Context(), s.stream, name); err != nil {
					t.Fatal(err)
				}
			}
			if c.written != nil {
				if c.written.Stream = s.reader.created; c.otherStream {
					c.written.Stream = s.reader.created.Add(-time.Hour)
				}
				b.write(t, *c.written)
			}
			p, err := s.located(t)
			switch {
			case c.floor == 0 && err == nil:
				t.Errorf("goes on at %+v", p)
			case c.floor == 0:
			case err != nil:
				t.Error(err)
			case p.floor != c.floor || p.tried != c.tried || len(p.silent) != len(c.silent):
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestAPositionThatIsWrittenDownRisesAndBelongsToTheLatestTerm(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	check := func(epoch, floor uint64) {
		t.Helper()
		w, _, err := s.readPosition(t.Context())
		if err != nil || w.Epoch != epoch || w.Floor != floor {
			t.Errorf("%+v, %v", w, err)
		}
	}
	for _, step := range []struct{ floor, want uint64 }{{5, 5}, {5, 5}, {3, 5}, {7, 7}} {
		if err := s.writePosition(t.Context(), progressed{floor: step.floor}); err != nil {
			t.Fatal(err)
		}
		check(9, step.want)
	}
	later := &shift{Runner: s.Runner, epochNumber: 10, reader: s.reader}
	if err := later.writePosition(t.Context(), progressed{floor: 2}); err != nil {
		t.Fatal(err)
	}
	check(10, 7)
	if err := s.writePosition(t.Context(), progressed{floor: 8}); !errors.Is(err, ErrTermOver) {
		t.Errorf("%v", err)
	}
	check(10, 7)
	later.reader.created = later.reader.created.Add(time.Hour) // of another stream
	if err := later.writePosition(t.Context(), progressed{floor: 1}); err != nil {
		t.Fatal(err)
	}
	s.reader.created = later.reader.created
	check(10, 1)
}

// TestATermWritesDownItsPositionBeforeItHasAConsumer: whoever finds the consumer finds the position, too.
func TestATermWritesDownItsPositionBeforeItHasAConsumer(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	s.bucket = unwritable{b.bucket}
	if _, err := s.takeOver(t.Context()); err == nil {
		t.Error("it was taken over")
	}
	if names := b.consumers(t); len(names) != 2 {
		t.Errorf("consumers %v", names)
	}
	s.bucket = b.bucket
	if _, err := s.takeOver(t.Context()); err != nil {
		t.Fatal(err)
	}
	if w, _, err := s.readPosition(t.Context()); err != nil || w.Epoch != 9 || w.Floor != 6 {
		t.Errorf("%+v, %v", w, err)
	}
	if names := b.consumers(t); len(names) != 1 {
		t.Errorf("consumers %v", names)
	}
}

type unwritable struct{ jetstream.KeyValue }

func (unwritable) Create(context.Context, string, []byte, ...jetstream.KVCreateOpt) (uint64, error) {
	return 0, errors.New("no")
}

// TestAPositionIsKeptUpToDate while commands are carried out.
func TestAPositionIsKeptUpToDate(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	r := newRunner(t, b, newPlatform(t, b), testConfig())
	run(t, r, 3)
	for n := range 4 {
		b.send(t, fmt.Sprint(n), n, "x")
		b.result(t, subjects.MessageSend, fmt.Sprint(n))
	}
	b.noted(t, r, 3, 4)
}

func TestWhatAPositionTells(t *testing.T) {
	t.Parallel()
	at := time.Unix(1_000_000_000, 0)
	former := written{Floor: 5, Highest: 12, Open: sequences{6, 8, 11}, Last: 12, At: at}
	for name, c := range map[string]struct {
		at   progressed
		want written
		done []uint64 // of those from 1 to 14
	}{
		"of a term that begins":              {progressed{floor: 5}, former, []uint64{1, 2, 3, 4, 5, 7, 9, 10, 12}},
		"of a term that begins further on":   {progressed{floor: 8}, written{Floor: 8, Highest: 12, Last: 12, Open: sequences{11}}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12}},
		"of one that has come as far":        {progressed{5, 12, sequences{6}, at}, written{Floor: 5, Highest: 12, Last: 12, Open: sequences{6}}, []uint64{1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12}},
		"of one that has not come as far":    {progressed{6, 9, sequences{7}, at.Add(-1)}, written{Floor: 6, Highest: 12, Last: 12, Open: sequences{8, 11}}, []uint64{1, 2, 3, 4, 5, 6, 7, 9, 10, 12}},
		"of one to which something is again": {progressed{3, 13, sequences{4, 13}, at}, written{Floor: 5, Highest: 13, Last: 13, Open: sequences{13}}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		"of one that has done all":           {progressed{13, 13, nil, at}, written{Floor: 13, Last: 13}, []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}},
	} {
		got := former.followed(c.at)
		if !got.equal(c.want) || got.equal(written{Floor: c.want.Floor, Highest: 99, Last: c.want.Last}) || got.equal(written{Floor: 13, Last: 99}) {
			t.Errorf("%s: %+v", name, got)
		}
		var done []uint64
		for seq := uint64(1); seq <= 14; seq++ {
			if got.done(seq, got.At.Add(1)) {
				t.Errorf("%s: %d is done, of what the stream stored later", name, seq)
			}
			if got.done(seq, got.At) {
				done = append(done, seq)
			}
		}
		if !slices.Equal(done, c.done) {
			t.Errorf("%s: done are %v", name, done)
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var again written
		if err := json.Unmarshal(text, &again); err != nil || !again.equal(got) || !again.At.Equal(got.At) {
			t.Errorf("%s: %s is %+v, %v", name, text, again, err)
		}
	}
}

func TestHowFarATermIs(t *testing.T) {
	t.Parallel()
	const listed = 500
	h := newHeld()
	check := func(floor, highest uint64, open int) {
		t.Helper()
		at := h.progressed(3 + 2*(listed-1)) // 11 and differences of 1, each with a comma
		if at.floor != floor || at.highest != highest || len(at.open) != open || !slices.IsSorted(at.open) || at.at.UnixNano() != int64(highest)*100 {
			t.Errorf("%+v", at)
		}
	}
	check(0, 0, 0)
	jobs := map[uint64]*job{}
	for seq := uint64(11); seq <= 30+listed; seq++ {
		jobs[seq] = &job{seq: seq, stored: int64(seq) * 100}
		h.add(jobs[seq])
	}
	check(10, 10+listed, listed) // as far as the list goes
	for seq := uint64(12); seq <= 32; seq++ {
		h.remove(jobs[seq])
	}
	check(10, 30+listed, listed-1)
	for seq := range jobs {
		h.remove(jobs[seq])
	}
	check(30+listed, 30+listed, 0)
	h.add(&job{seq: 1 << 60})
	if at := h.progressed(1); at.floor != 1<<60-1 || len(at.open) != 1 {
		t.Errorf("there is always one: %+v", at)
	}
}

// TestALedgerThatRemembersForLongerDoesNotLearnAgain what it has forgotten.
func TestALedgerThatRemembersForLongerDoesNotLearnAgain(t *testing.T) {
	t.Parallel()
	now := time.Now()
	before := now.Add(-100 * time.Hour)
	for name, c := range map[string]struct {
		former written
		want   time.Time
	}{
		"nothing written":       {written{}, time.Time{}},
		"as long":               {written{Remembers: 40 * time.Hour, Forgot: before}, before},
		"for longer before":     {written{Remembers: 60 * time.Hour}, time.Time{}},
		"for shorter before":    {written{Remembers: 20 * time.Hour, Forgot: before}, now.Add(-19 * time.Hour)},
		"it had forgotten more": {written{Remembers: 20 * time.Hour, Forgot: now}, now},
	} {
		if got := c.former.forgotten(40*time.Hour, now); !got.Equal(c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestAStreamThatLostItsEndIsCarriedOn: after a power cut, or restored from a backup, it gives numbers again that were done with.
func TestAStreamThatLostItsEndIsCarriedOn(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	p := newPlatform(t, b)
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	b.write(t, written{Version: 1, Epoch: 5, Floor: 50, Highest: 60, Open: []uint64{51}, Stream: stream.CachedInfo().Created})
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 9)
	for n := range 3 {
		b.send(t, fmt.Sprint(n), n, "x")
		if r := b.result(t, subjects.MessageSend, fmt.Sprint(n)); r.Status != subjects.StatusDone {
			t.Errorf("%+v", r)
		}
	}
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	b.noted(t, r, 9, 3)
}

// TestATermIsOverWhenTheStreamLosesItsEnd: what it holds is of numbers that are given again.
func TestATermIsOverWhenTheStreamLosesItsEnd(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	s.held.add(&job{seq: 11})
	if _, err := s.located(t); !errors.Is(err, ErrTermOver) {
		t.Errorf("%v", err)
	}
	s = &shift{Runner: s.Runner, epochNumber: 9, stream: s.stream, held: newHeld(), reader: s.reader, hard: s.hard, floor: 11}
	if _, err := s.located(t); !errors.Is(err, ErrTermOver) {
		t.Errorf("%v", err)
	}
	s.silence, s.silenceLimit = time.Time{}, time.Hour
	if _, err := s.located(t); err == nil || errors.Is(err, ErrTermOver) {
		t.Errorf("it may be a moment's: %v", err)
	}
}

// TestWhatATermKnowsOfEarlierOnesIsKept, as their consumers are gone when its own is renewed.
func TestWhatATermKnowsOfEarlierOnesIsKept(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	for range 2 {
		p, err := s.takeOver(t.Context())
		if err != nil || p.floor != 6 || p.tried != 6 {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// stale is a bucket of which a replica answers that is behind.
type stale struct {
	jetstream.KeyValue
	entry jetstream.KeyValueEntry
}

func (s stale) Get(context.Context, string) (jetstream.KeyValueEntry, error) { return s.entry, nil }

func TestAPositionIsNotWrittenOverALaterOneThatIsNotSeen(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b)
	if err := s.writePosition(t.Context(), progressed{floor: 5}); err != nil {
		t.Fatal(err)
	}
	entry, err := b.bucket.Get(t.Context(), positionKey)
	if err != nil {
		t.Fatal(err)
	}
	later := &shift{Runner: s.Runner, epochNumber: 10, reader: s.reader}
	if err := later.writePosition(t.Context(), progressed{floor: 7}); err != nil {
		t.Fatal(err)
	}
	zombie := &shift{Runner: &Runner{cfg: s.cfg, bucket: stale{b.bucket, entry}}, epochNumber: 9, reader: s.reader}
	if err := zombie.writePosition(t.Context(), progressed{floor: 8}); err == nil {
		t.Error("it was written")
	}
	if w, _, err := s.readPosition(t.Context()); err != nil || w.Epoch != 10 || w.Floor != 7 {
		t.Errorf("%+v, %v", w, err)
	}
}

// TestEachSilentConsumerHasToBeCovered, and each silence is waited for.
func TestEachSilentConsumerHasToBeCovered(t *testing.T) {
	t.Parallel()
	b := newBus(t)
	s := newShift(t, b, consumerName(4), consumerName(5))
	stream, err := s.js.Stream(t.Context(), s.stream)
	if err != nil {
		t.Fatal(err)
	}
	for _, old := range [][]string{{consumerName(4), consumerName(5)}, {consumerName(5), consumerName(4)}} {
		p := &position{known: written{Epoch: 4, Stream: s.reader.created}, old: old}
		if told, covered, silence := s.consult(t.Context(), stream, p); told || covered || silence == nil || len(p.silent) != 2 {
			t.Errorf("%v, %v, %v, %+v", told, covered, silence, p)
		}
	}
	s.silenceLimit = time.Hour
	if _, err := s.located(t); err == nil || s.silence.IsZero() {
		t.Errorf("silent since %v: %v", s.silence, err)
	}
	s.js = b.js
	if _, err := s.located(t); err != nil || !s.silence.IsZero() {
		t.Errorf("silent since %v: %v", s.silence, err)
	}
}
