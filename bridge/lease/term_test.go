package lease

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestARenewalKeepsTheTimeToLive(t *testing.T) {
	b, _ := startBus(t)
	l := b.lease("first", 90500*time.Millisecond, quiet())
	term := unkept(t, l)
	for range 3 {
		before := b.stored(t)
		term.renew()
		after := b.stored(t)
		if after.Sequence != before.Sequence+1 || term.revision != after.Sequence {
			t.Errorf("revisions: %d, then %d, known %d", before.Sequence, after.Sequence, term.revision)
		}
		if got := after.Header.Get(jetstream.MsgTTLHeader); got != "1m31s" || got != before.Header.Get(jetstream.MsgTTLHeader) {
			t.Errorf("time to live: %q, before %q", got, before.Header.Get(jetstream.MsgTTLHeader))
		}
	}
	if holder, epoch, err := l.Holder(within(t)); err != nil || holder != "first" || epoch != term.Epoch() || epoch != 1 {
		t.Errorf("holder: %q, %d, %v; epoch %d", holder, epoch, err, term.Epoch())
	}
	giveBack(t, term)
}

func TestTheHolderRenewsByItself(t *testing.T) {
	b, _ := startBus(t)
	l := b.lease("first", long, quiet())
	l.every = time.Millisecond
	term := acquire(t, l)
	natstest.Eventually(t, "renewals", func() bool { return b.stored(t).Sequence > term.Epoch()+3 })
	if !term.Valid(time.Minute) || term.Err() != nil {
		t.Errorf("valid: %t, end: %v", term.Valid(time.Minute), term.Err())
	}
}

func TestARenewalWhoseAnswerWasLostIsResolvedByReading(t *testing.T) {
	b, _ := startBus(t)
	cut := &line{Publisher: b.js}
	l := b.lease("first", long, quiet())
	l.js = cut
	term := unkept(t, l)
	cut.mode.Store(answerLost)
	term.renew()
	if stored := b.stored(t); stored.Sequence != 2 || term.revision != 1 || !term.unsure {
		t.Fatalf("stored %d, known %d, unsure: %t", stored.Sequence, term.revision, term.unsure)
	}
	cut.mode.Store(works)
	if next := term.renew(); next != 0 || term.revision != 2 || term.unsure {
		t.Errorf("after reading: next in %s, known %d, unsure: %t", next, term.revision, term.unsure)
	}
	term.renew()
	if stored := b.stored(t); stored.Sequence != 3 || term.revision != 3 || term.Err() != nil {
		t.Errorf("stored %d, known %d, end: %v", stored.Sequence, term.revision, term.Err())
	}
	giveBack(t, term)
}

func TestAReleaseAfterARenewalWhoseAnswerWasLostDeletesTheKey(t *testing.T) {
	b, _ := startBus(t)
	cut := &line{Publisher: b.js}
	l := b.lease("first", long, quiet())
	l.js, l.pause = cut, time.Millisecond
	term := unkept(t, l)
	cut.mode.Store(answerLost)
	term.renew()
	giveBack(t, term)
	if holder, _, err := l.Holder(within(t)); err != nil || holder != "" {
		t.Errorf("held by %q, %v", holder, err)
	}
}

func TestATermEndsWhenItsKeyIsDeletedOrTaken(t *testing.T) {
	b, _ := startBus(t)
	term := unkept(t, b.lease("first", long, quiet()))
	if err := b.kv.Delete(within(t), keyName); err != nil {
		t.Fatalf("delete: %v", err)
	}
	term.renew()
	wantEnd(t, term, ErrLost)

	cut := &line{Publisher: b.js}
	l := b.lease("second", long, quiet())
	l.js = cut
	term = unkept(t, l)
	cut.mode.Store(requestLost)
	term.renew()
	cut.mode.Store(works)
	if err := b.kv.Delete(within(t), keyName); err != nil {
		t.Fatalf("delete: %v", err)
	}
	third := acquire(t, b.lease("third", long, quiet()))
	term.renew()
	wantEnd(t, term, ErrLost)
	giveBack(t, term)
	if holder, _, err := l.Holder(within(t)); err != nil || holder != "third" || !third.Valid(0) {
		t.Errorf("held by %q, %v", holder, err)
	}
}

func TestATermSurvivesARestartOfTheServer(t *testing.T) {
	b, s := startBus(t)
	book := &logBook{}
	l := b.lease("first", long, book.logger())
	l.every, l.pause, l.attempt = 10*time.Millisecond, 10*time.Millisecond, 5*time.Second
	term := acquire(t, l)
	s.Stop()
	natstest.Eventually(t, "a failed renewal", func() bool { return book.count("could not be renewed") > 0 })
	if !term.Valid(time.Minute) {
		t.Error("not valid while the server is away")
	}
	s.Restart(t)
	natstest.Eventually(t, "a renewal", func() bool { return book.count("is renewed again") > 0 })
	if term.Err() != nil || !term.Valid(time.Minute) {
		t.Errorf("end: %v, valid: %t", term.Err(), term.Valid(time.Minute))
	}
	if n := book.count("could not be renewed"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

func TestATermIsValidByTheClockAlone(t *testing.T) {
	b, _ := startBus(t)
	clock := &handClock{}
	l := b.lease("first", 10*time.Minute, quiet())
	l.clock = clock.read
	term := unkept(t, l)
	for _, c := range []struct {
		pass, need time.Duration
		want       bool
	}{
		{0, 0, true},
		{0, 8*time.Minute - 1, true},
		{0, 8 * time.Minute, false},
		{7 * time.Minute, 59 * time.Second, true},
		{0, time.Minute, false},
		{time.Minute, 0, false}, // four fifths are over
		{time.Hour, 0, false},
	} {
		clock.add(c.pass)
		if got := term.Valid(c.need); got != c.want {
			t.Errorf("at %s, need %s: %t", clock.read(), c.need, got)
		}
	}
	term.renew() // the server still has the key: the renewal succeeds, but too late
	wantEnd(t, term, ErrExpired)
	giveBack(t, term)
}

// TestAZombieFindsItselfInvalid is the frozen process, or the suspended
// machine: the clock has gone on, nothing else has.
func TestAZombieFindsItselfInvalid(t *testing.T) {
	b, _ := startBus(t)
	clock := &handClock{}
	l := b.lease("first", 10*time.Minute, quiet())
	l.clock = clock.read
	l.every = time.Hour
	term := acquire(t, l)
	clock.add(time.Hour)
	if term.Valid(0) {
		t.Error("valid after an hour without a renewal")
	}
}

func TestATermThatCannotBeRenewedEndsByItself(t *testing.T) {
	b, _ := startBus(t)
	cut := &line{Publisher: b.js}
	cut.mode.Store(requestLost)
	clock := &handClock{}
	l := b.lease("first", 10*time.Minute, quiet())
	l.js, l.clock, l.every, l.pause = cut, clock.read, time.Millisecond, time.Millisecond
	term := acquire(t, l)
	clock.add(7 * time.Minute)
	if !term.Valid(0) {
		t.Error("over too early")
	}
	clock.add(time.Minute)
	wantEnd(t, term, ErrExpired)
}

// slow is a line and a bucket on which a request takes two minutes of a hand
// clock.
type slow struct {
	Publisher
	jetstream.KeyValue
	clock *handClock
}

// PublishMsg takes two minutes.
func (s *slow) PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	defer s.clock.add(2 * time.Minute)
	return s.Publisher.PublishMsg(ctx, msg, opts...)
}

// Create takes two minutes.
func (s *slow) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	defer s.clock.add(2 * time.Minute)
	return s.KeyValue.Create(ctx, key, value, opts...)
}

func TestValidityCountsFromBeforeTheRequestWasSent(t *testing.T) {
	b, _ := startBus(t)
	s := &slow{b.js, b.kv, &handClock{}}
	l := b.lease("first", 10*time.Minute, quiet())
	l.js, l.kv, l.clock = s, s, s.clock.read
	term := unkept(t, l)
	if left := term.left(); left != 6*time.Minute {
		t.Errorf("left after the creation: %s, want 6m", left)
	}
	s.clock.add(time.Minute)
	if next := term.renew(); next != 0 || term.left() != 6*time.Minute {
		t.Errorf("left after the renewal: %s, want 6m; next in %s, want at once", term.left(), next)
	}
	giveBack(t, term)
}

func TestALeaseInAJetStreamDomain(t *testing.T) {
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamDomain = "hub" })
	for name, open := range map[string]func() (jetstream.JetStream, error){
		"domain": func() (jetstream.JetStream, error) { return jetstream.NewWithDomain(s.Conn(t), "hub") },
		"prefix": func() (jetstream.JetStream, error) { return jetstream.NewWithAPIPrefix(s.Conn(t), "$JS.hub.API") },
		"plain":  func() (jetstream.JetStream, error) { return jetstream.New(s.Conn(t)) },
	} {
		js, err := open()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		term := unkept(t, newBus(t, js, 1).lease("first", long, quiet()))
		term.renew()
		if term.revision != term.Epoch()+1 {
			t.Errorf("%s: revision %d after the renewal of %d", name, term.revision, term.Epoch())
		}
		giveBack(t, term)
	}
}

func TestATermSurvivesAChangeOfTheLeader(t *testing.T) {
	c := natstest.StartCluster(t, 3)
	book := &logBook{}
	b := newBus(t, c.JetStream(t), 3)
	l := b.lease("first", long, book.logger())
	l.every, l.pause, l.attempt, l.poll, l.opening = 10*time.Millisecond, 50*time.Millisecond, 3*time.Second, 5*time.Second, 5*time.Second
	term := acquire(t, l)
	for range 2 {
		leader := c.StreamLeader(t, "KV_"+bucketName)
		leader.Stop()
		sent := term.sent.Load()
		natstest.Eventually(t, "two renewals by another leader", func() bool { return term.sent.Load() > sent+int64(20*time.Millisecond) })
		leader.Restart(t)
		c.WaitReady(t)
	}
	if term.Err() != nil || !term.Valid(time.Minute) {
		t.Errorf("end: %v, valid: %t", term.Err(), term.Valid(time.Minute))
	}
}
