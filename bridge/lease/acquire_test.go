package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// contend lets bridges hold and give up the lease in turns, and checks that
// never two hold it and that epochs rise.
func contend(t *testing.T, buses []*bus, turns int) {
	t.Helper()
	var holders, epoch atomic.Int64
	var all sync.WaitGroup
	for i, b := range buses {
		l := b.lease(fmt.Sprint("bridge-", i), long, quiet())
		l.attempt, l.poll, l.opening = 5*time.Second, 5*time.Second, 5*time.Second // a cluster does not answer every request
		all.Go(func() {
			for range turns {
				term, err := l.Acquire(within(t))
				if err != nil {
					t.Errorf("acquire: %v", err)
					return
				}
				if n := holders.Add(1); n != 1 || !term.Valid(time.Minute) {
					t.Errorf("%d holders, valid: %t", n, term.Valid(time.Minute))
				}
				if old := epoch.Swap(int64(term.Epoch())); old >= int64(term.Epoch()) {
					t.Errorf("epoch %d after %d", term.Epoch(), old)
				}
				holders.Add(-1)
				giveBack(t, term)
			}
		})
	}
	all.Wait()
}

func TestOnlyOneHoldsTheLeaseAndEpochsRise(t *testing.T) {
	b, s := startBus(t)
	contend(t, []*bus{b, newBus(t, s.JetStream(t), 1), newBus(t, s.JetStream(t), 1)}, 20)
}

func TestOnlyOneHoldsTheLeaseOfACluster(t *testing.T) {
	c := natstest.StartCluster(t, 3)
	var buses []*bus
	for range 3 {
		buses = append(buses, newBus(t, c.JetStream(t), 3))
	}
	contend(t, buses, 5)
}

func TestAReleaseHandsOverToTheOneWhoWaits(t *testing.T) {
	b, _ := startBus(t)
	book := &logBook{}
	first := acquire(t, b.lease("first", long, quiet()))
	next := make(chan *Term, 1)
	second := b.lease("second", long, book.logger())
	go func() {
		term, err := second.Acquire(within(t))
		if err != nil {
			t.Errorf("acquire: %v", err)
		}
		next <- term
	}()
	natstest.Eventually(t, "the second one waits", func() bool { return book.count("held by another") == 1 })
	giveBack(t, first)
	wantEnd(t, first, ErrReleased)
	term := <-next
	if term.Epoch() <= first.Epoch() || !term.Valid(0) {
		t.Errorf("epoch %d after %d, valid: %t", term.Epoch(), first.Epoch(), term.Valid(0))
	}
	giveBack(t, first) // must not touch the other's key
	if holder, epoch, err := second.Holder(within(t)); err != nil || holder != "second" || epoch != term.Epoch() {
		t.Errorf("holder: %q, %d, %v", holder, epoch, err)
	}
	giveBack(t, term)
	if holder, epoch, err := second.Holder(within(t)); err != nil || holder != "" || epoch != 0 {
		t.Errorf("holder of a free lease: %q, %d, %v", holder, epoch, err)
	}
}

func TestTheLeaseOfAHolderThatStopsRenewingIsTakenOnlyAfterItsTerm(t *testing.T) {
	b, _ := startBus(t)
	cut := &line{Publisher: b.js}
	cut.mode.Store(requestLost)
	first := b.lease("first", 2*time.Second, quiet())
	first.js = cut
	var old *Term
	for old == nil || old.Err() != nil { // on a slow machine a term may be over before it is seen
		old = acquire(t, first)
	}
	term := acquire(t, b.lease("second", 2*time.Second, quiet()))
	if old.Valid(0) {
		t.Error("two valid terms at a time")
	}
	wantEnd(t, old, ErrExpired)
	if term.Epoch() <= old.Epoch() {
		t.Errorf("epoch %d after %d", term.Epoch(), old.Epoch())
	}
}

// deaf is a bucket whose watchers never say anything.
type deaf struct {
	jetstream.KeyValue
	watched atomic.Int64
}

type silence struct{}

// Updates is part of jetstream.KeyWatcher.
func (silence) Updates() <-chan jetstream.KeyValueEntry { return make(chan jetstream.KeyValueEntry) }

// Stop is part of jetstream.KeyWatcher.
func (silence) Stop() error { return nil }

// Watch opens a watcher that is dead.
func (d *deaf) Watch(context.Context, string, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	d.watched.Add(1)
	return silence{}, nil
}

func TestADeadWatcherIsReplacedAndTheLeaseTakenAnyway(t *testing.T) {
	b, _ := startBus(t)
	first := acquire(t, b.lease("first", long, quiet()))
	kv := &deaf{KeyValue: b.kv}
	second := b.lease("second", long, quiet())
	second.kv, second.ttl, second.poll = kv, 10*time.Millisecond, 10*time.Millisecond
	next := make(chan *Term, 1)
	go func() {
		term, err := second.Acquire(within(t))
		if err != nil {
			t.Errorf("acquire: %v", err)
		}
		next <- term
	}()
	natstest.Eventually(t, "a second watcher", func() bool { return kv.watched.Load() >= 2 })
	giveBack(t, first)
	giveBack(t, <-next)
}

// lossy is a bucket that loses answers to the creation of a key.
type lossy struct {
	jetstream.KeyValue
	losses atomic.Int64
}

// Create creates the key and loses the answer as often as told.
func (l *lossy) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	revision, err := l.KeyValue.Create(ctx, key, value, opts...)
	if err == nil && l.losses.Add(-1) >= 0 {
		return 0, errLost
	}
	return revision, err
}

func TestACreationWhoseAnswerWasLostIsFoundAgain(t *testing.T) {
	b, _ := startBus(t)
	kv := &lossy{KeyValue: b.kv}
	kv.losses.Store(1)
	l := b.lease("first", long, quiet())
	l.kv = kv
	term := acquire(t, l)
	if got := b.stored(t); term.Epoch() != 1 || got.Sequence != 2 {
		t.Errorf("epoch %d, revision %d: want the creation's (1) and the renewal's (2)", term.Epoch(), got.Sequence)
	}
}

func TestAcquireGoesOnWhileTheBucketIsMissingAndSaysSoOnce(t *testing.T) {
	b, _ := startBus(t)
	if err := b.js.DeleteKeyValue(within(t), bucketName); err != nil {
		t.Fatalf("delete bucket: %v", err)
	}
	book := &logBook{}
	l := b.lease("first", long, book.logger())
	var tries atomic.Int64
	l.kv = &counting{KeyValue: b.kv, tries: &tries}
	next := make(chan *Term, 1)
	go func() {
		term, err := l.Acquire(within(t))
		if err != nil {
			t.Errorf("acquire: %v", err)
		}
		next <- term
	}()
	natstest.Eventually(t, "a few attempts", func() bool { return tries.Load() >= 4 })
	newBus(t, b.js, 1)
	giveBack(t, <-next)
	if n := book.count("cannot be acquired"); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

// counting counts the looks at the bucket.
type counting struct {
	jetstream.KeyValue
	tries *atomic.Int64
}

// Status counts.
func (c *counting) Status(ctx context.Context) (jetstream.KeyValueStatus, error) {
	c.tries.Add(1)
	return c.KeyValue.Status(ctx)
}

func TestAnUnfitBucketIsRefused(t *testing.T) {
	s := natstest.Start(t)
	js := s.JetStream(t)
	for name, config := range map[string]jetstream.KeyValueConfig{
		"NO_MARKERS": {},
		"IN_MEMORY":  {LimitMarkerTTL: time.Minute, Storage: jetstream.MemoryStorage},
		"SHORT_LIFE": {LimitMarkerTTL: time.Minute, TTL: 5 * time.Second},
	} {
		config.Bucket = name
		kv, err := js.CreateKeyValue(within(t), config)
		if err != nil {
			t.Fatalf("bucket: %v", err)
		}
		l := New(js, kv, keyName, "x", 10*time.Second, quiet())
		if err := l.checkBucket(within(t)); !errors.Is(err, ErrBucket) {
			t.Errorf("%s: got %v, want ErrBucket", name, err)
		}
	}
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	b, _ := startBus(t)
	book := &logBook{}
	acquire(t, b.lease("first", long, quiet()))
	ctx, cancel := context.WithCancel(within(t))
	ended := make(chan error, 1)
	second := b.lease("second", long, book.logger())
	go func() {
		_, err := second.Acquire(ctx)
		ended <- err
	}()
	natstest.Eventually(t, "the second one waits", func() bool { return book.count("held by another") == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("acquire: got %v, want the end of its context", err)
	}
}

// late ends a context just when the key has been created.
type late struct {
	jetstream.KeyValue
	cancel context.CancelFunc
}

// Create creates the key, and then the caller is gone.
func (l *late) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	revision, err := l.KeyValue.Create(ctx, key, value, opts...)
	l.cancel()
	return revision, err
}

func TestALeaseWonAfterTheCallerHasGoneIsGivenBack(t *testing.T) {
	b, _ := startBus(t)
	ctx, cancel := context.WithCancel(within(t))
	l := b.lease("first", long, quiet())
	l.kv = &late{b.kv, cancel}
	if _, err := l.Acquire(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("acquire: got %v", err)
	}
	if holder, _, err := l.Holder(within(t)); err != nil || holder != "" {
		t.Errorf("held by %q, %v", holder, err)
	}
}

func TestTheCheckOfTheConfig(t *testing.T) {
	for ttl, bad := range map[time.Duration]bool{0: true, time.Second: true, 2 * time.Second: false, time.Hour: false, 2 * time.Hour: true} {
		reported := false
		Config{TTL: ttl}.Check(func(key, _ string, _ any) { reported = key == "lease_ttl" })
		if reported != bad {
			t.Errorf("%s: reported: %t", ttl, reported)
		}
	}
	DefaultConfig().Check(func(key, rule string, value any) { t.Errorf("default: %s %s: %v", key, rule, value) })
}

// TestARecordOfALaterVersionIsSomebodyElses holds that a bridge leaves alone what it does not understand, until it is gone.
func TestARecordOfALaterVersionIsSomebodyElses(t *testing.T) {
	b, _ := startBus(t)
	for _, value := range []string{`{"v":9,"holder":"newer","term":"theirs","epoch":1,"more":{"than":"we know"}}`, "another format"} {
		revision, err := b.kv.Put(within(t), keyName, []byte(value))
		if err != nil {
			t.Fatal(err)
		}
		c := &candidate{Lease: b.lease("older", long, quiet()), term: newTermName()}
		if term, _ := c.try(within(t)); term != nil {
			t.Fatalf("%s: was taken over", value)
		}
		if err := b.kv.Delete(within(t), keyName); err != nil {
			t.Fatal(err)
		}
		term, err := c.Acquire(within(t))
		if err != nil || term.Epoch() <= revision {
			t.Fatalf("after %s: %v, %v", value, term, err)
		}
		giveBack(t, term)
	}
}
