package command

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

func (b *bus) consumers(t *testing.T) []string {
	t.Helper()
	stream, err := b.js.Stream(t.Context(), b.names.CommandsStream())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	l := stream.ConsumerNames(t.Context())
	for n := range l.Name() {
		names = append(names, n)
	}
	if l.Err() != nil {
		t.Fatal(l.Err())
	}
	slices.Sort(names)
	return names
}

func TestEpochOf(t *testing.T) {
	for name, want := range map[string]bool{
		"cxbridge-7": true, "cxbridge-18446744073709551615": true, "cxbridge-0": true, "cxbridge-07": false, "cxbridge-": false,
		"cxbridge-7x": false, "xcxbridge-7": false, "cxbridge--7": false, "cxbridge-+7": false, "cxbridge-18446744073709551616": false,
	} {
		if _, ok := epochOf(name); ok != want {
			t.Errorf("%s: %t", name, ok)
		}
	}
}

func TestATakeOverGoesOnWhereTheOldTermWasAndTouchesOnlyItsOwnConsumers(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	for _, name := range []string{"cxbridge-old", "mine"} {
		config := jetstream.ConsumerConfig{Durable: name, AckPolicy: jetstream.AckExplicitPolicy}
		if _, err := b.js.CreateConsumer(t.Context(), b.names.CommandsStream(), config); err != nil {
			t.Fatal(err)
		}
	}
	cfg := testConfig()
	x := run(t, newRunner(t, b, p, cfg), 3)
	for n := range 20 {
		b.send(t, fmt.Sprintf("a%d", n), n, "x")
	}
	b.settled(t, 3)
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	run(t, newRunner(t, b, p, cfg), 12)
	c, err := b.js.Consumer(t.Context(), b.names.CommandsStream(), "cxbridge-12")
	if err != nil {
		t.Fatal(err)
	}
	if start := c.CachedInfo().Config.OptStartSeq; start != 21 {
		t.Errorf("begins at %d", start)
	}
	natstest.Eventually(t, "for the old consumer to go", func() bool {
		return slices.Equal(b.consumers(t), []string{"cxbridge-12", "cxbridge-old", "mine"})
	})
	b.send(t, "b", 1, "y")
	if r := b.result(t, subjects.MessageSend, "b"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
}

func TestAHigherEpochEndsTheTerm(t *testing.T) {
	b := newBus(t)
	if _, err := b.js.CreateConsumer(t.Context(), b.names.CommandsStream(), jetstream.ConsumerConfig{Durable: "cxbridge-9"}); err != nil {
		t.Fatal(err)
	}
	x := run(t, newRunner(t, b, newPlatform(t, b), testConfig()), 8)
	if err := x.wait(t); !errors.Is(err, ErrTermOver) {
		t.Fatal(err)
	}
}

func TestALostEpochEndsTheTerm(t *testing.T) {
	b := newBus(t)
	r := newRunner(t, b, newPlatform(t, b), testConfig())
	if _, err := r.begin(t.Context(), 9); err != nil {
		t.Fatal(err)
	}
	x := run(t, r, 8)
	if err := x.wait(t); !errors.Is(err, ErrTermOver) {
		t.Fatal(err)
	}
}

// TestOrderIsKeptWhenDeliveriesGoAstray: somebody takes messages from the consumer and never acknowledges them, as a lost connection does.
func TestOrderIsKeptWhenDeliveriesGoAstray(t *testing.T) {
	const conversations, each = 5, 40
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	var thieves []*nats.Subscription
	for n := range each {
		for c := range conversations {
			if n%10 == 5 {
				thieves = append(thieves, b.steal(t))
			}
			b.send(t, fmt.Sprintf("%d-%d", c, n), c+1, fmt.Sprintf("text %d", n))
		}
	}
	for n := range each {
		for c := range conversations {
			if r := b.result(t, subjects.MessageSend, fmt.Sprintf("%d-%d", c, n)); r.Status != subjects.StatusDone {
				t.Errorf("%+v", r)
			}
		}
	}
	checkOrder(t, p, conversations, each)
	stolen := 0
	for _, thief := range thieves {
		if n, _, err := thief.Pending(); err == nil {
			stolen += n
		}
	}
	if stolen == 0 {
		t.Error("nothing was stolen")
	}
}

// steal asks for one message, for somebody who will not deal with it.
func (b *bus) steal(t *testing.T) *nats.Subscription {
	t.Helper()
	thief, err := b.conn.SubscribeSync(b.conn.NewInbox())
	if err == nil {
		err = b.conn.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+b.names.CommandsStream()+"."+consumerName(1), thief.Subject, []byte(`{"batch":1,"expires":60000000000}`))
	}
	if err != nil {
		t.Fatal(err)
	}
	return thief
}

func TestAConsumerThatIsDeletedComesBack(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	run(t, newRunner(t, b, p, testConfig()), 1)
	for n := range 30 {
		if n%10 == 9 {
			if err := b.js.DeleteConsumer(t.Context(), b.names.CommandsStream(), consumerName(1)); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
				t.Fatal(err)
			}
		}
		b.send(t, fmt.Sprintf("0-%d", n), 1, fmt.Sprintf("text %d", n))
	}
	for n := range 30 {
		b.result(t, subjects.MessageSend, fmt.Sprintf("0-%d", n))
	}
	checkOrder(t, p, 1, 30)
}

func TestARestartOfTheServerLosesAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	const conversations, each = 5, 20
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	r.Pause()
	for n := range each {
		for c := range conversations {
			b.send(t, fmt.Sprintf("%d-%d", c, n), c+1, fmt.Sprintf("text %d", n))
		}
	}
	run(t, r, 1)
	r.Resume()
	for range 3 {
		for range 10 {
			<-p.called
		}
		b.server.Restart(t)
	}
	for n := range each {
		for c := range conversations {
			if r := b.result(t, subjects.MessageSend, fmt.Sprintf("%d-%d", c, n)); r.Status != subjects.StatusDone {
				t.Errorf("%+v", r)
			}
		}
	}
	checkOrder(t, p, conversations, each)
}

// forget deletes the consumer of an epoch, and with it what was acknowledged.
func (b *bus) forget(t *testing.T, epoch uint64) {
	t.Helper()
	if err := b.js.DeleteConsumer(t.Context(), b.names.CommandsStream(), consumerName(epoch)); err != nil {
		t.Fatal(err)
	}
}

// replace deletes a stream and makes it again, empty and with sequences from 1.
func (b *bus) replace(t *testing.T, name string) {
	t.Helper()
	stream, err := b.js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.js.DeleteStream(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	if _, err := b.js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
}

func TestAPositionOutlivesAConsumerThatHadNoCommandYet(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	x := run(t, newRunner(t, b, p, testConfig()), 1)
	for n := range 20 {
		b.send(t, fmt.Sprintf("a%d", n), n, "x")
	}
	b.settled(t, 1)
	x.stop()
	if err := x.wait(t); err != nil {
		t.Fatal(err)
	}
	run(t, newRunner(t, b, p, testConfig()), 2)
	natstest.Eventually(t, "for the old consumer to go", func() bool { return slices.Equal(b.consumers(t), []string{consumerName(2)}) })
	b.forget(t, 2)
	var start uint64
	natstest.Eventually(t, "for the consumer to come back", func() bool {
		c, err := b.js.Consumer(t.Context(), b.names.CommandsStream(), consumerName(2))
		if err == nil {
			start = c.CachedInfo().Config.OptStartSeq
		}
		return err == nil
	})
	if start != 21 {
		t.Errorf("begins at %d", start)
	}
}

func TestCommandsInAStreamThatWasMadeAnewAreCarriedOut(t *testing.T) {
	b := newBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	x := run(t, r, 1)
	for n := range 20 {
		b.send(t, fmt.Sprintf("a%d", n), n, "x")
	}
	b.settled(t, 1)
	b.replace(t, b.names.CommandsStream())
	b.send(t, "b", 1, "y")
	if err := x.wait(t); !errors.Is(err, ErrTermOver) {
		t.Fatal(err)
	}
	run(t, r, 2)
	if got := b.result(t, subjects.MessageSend, "b"); got.Status != subjects.StatusDone {
		t.Errorf("%+v", got)
	}
}
