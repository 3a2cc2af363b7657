package command

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/subjects"
)

// newClusterBus is a bus on a cluster of three.
func newClusterBus(t *testing.T) (*bus, *natstest.Cluster) {
	t.Helper()
	c := natstest.StartCluster(t, 3)
	return newBusOn(t, c.Conn(t), 3), c
}

// orphan takes the leader from a consumer, and leaves every stream its own: the consumer is moved to one server, which is stopped.
func (b *bus) orphan(t *testing.T, c *natstest.Cluster, epoch uint64) {
	t.Helper()
	var home string
	natstest.Repeat(t, "move the consumer to one server", func(ctx context.Context) error {
		consumer, err := b.js.Consumer(ctx, b.names.CommandsStream(), consumerName(epoch))
		if err != nil {
			return err
		}
		config := consumer.CachedInfo().Config
		config.Replicas = 1
		_, err = b.js.UpdateConsumer(ctx, b.names.CommandsStream(), config)
		return err
	})
	natstest.Eventually(t, "for the consumer to have one server", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		consumer, err := b.js.Consumer(ctx, b.names.CommandsStream(), consumerName(epoch))
		if err != nil || consumer.CachedInfo().Cluster == nil || len(consumer.CachedInfo().Cluster.Replicas) > 0 {
			return false
		}
		home = consumer.CachedInfo().Cluster.Leader
		return home != ""
	})
	for _, s := range c.Servers {
		if s.Server().Name() == home {
			s.Stop()
			return
		}
	}
	t.Fatalf("no server is called %q", home)
}

// order publishes a command to a cluster in which a server may have just been stopped.
func (b *bus) order(t *testing.T, id string, conversation int, content string) {
	t.Helper()
	natstest.Repeat(t, "send "+id, func(ctx context.Context) error {
		m := &nats.Msg{
			Subject: b.names.Command(subjects.MessageSend), Header: nats.Header{subjects.HeaderMsgID: {id}},
			Data: fmt.Appendf(nil, `{"conversation_id":%d,"content":%q}`, conversation, content),
		}
		_, err := b.js.PublishMsg(ctx, m)
		return err
	})
}

// noted waits until a position is written down.
func (b *bus) noted(t *testing.T, r *Runner, epoch, floor uint64) {
	t.Helper()
	natstest.Eventually(t, "for the position to be written down", func() bool {
		w := b.position(t, r)
		return w.Epoch == epoch && w.Floor == floor
	})
}

// position returns what is written down, and nothing if it cannot be read.
func (b *bus) position(t *testing.T, r *Runner) written {
	t.Helper()
	s := &shift{Runner: r}
	ctx, cancel := context.WithTimeout(t.Context(), attempt)
	defer cancel()
	stream, err := b.js.Stream(ctx, b.names.CommandsStream())
	if err != nil {
		return written{}
	}
	s.reader.created = stream.CachedInfo().Created
	w, _, err := s.readPosition(ctx)
	if err != nil {
		return written{}
	}
	return w
}

// TestATakeOverGoesOnWithoutAConsumerThatHasNoLeader: the position of the earlier term is taken from the bucket, and what it carried out beyond that is
// answered from the ledger.
func TestATakeOverGoesOnWithoutAConsumerThatHasNoLeader(t *testing.T) {
	t.Parallel()
	b, c := newClusterBus(t)
	p := newPlatform(t, b)
	hold := make(chan struct{})
	p.behave = func(_ Operation, _, content string, try int) behaviour {
		if content == "held" && try == 1 {
			return behaviour{hold: hold, silent: true}
		}
		return behaviour{}
	}
	cfg := testConfig()
	cfg.EchoWait, cfg.CallTimeout = shortEcho, time.Second
	first := newRunner(t, b, p, cfg)
	x := run(t, first, 7)
	const before, beyond = 5, 5
	for n := range before {
		b.order(t, fmt.Sprintf("0-%d", n), 1, fmt.Sprintf("text %d", n))
		b.result(t, subjects.MessageSend, fmt.Sprintf("0-%d", n))
	}
	b.noted(t, first, 7, before)
	b.order(t, "held", 2, "held") // keeps the position where it is
	for n := range beyond {
		b.order(t, fmt.Sprintf("0-%d", before+n), 1, fmt.Sprintf("text %d", before+n))
		b.result(t, subjects.MessageSend, fmt.Sprintf("0-%d", before+n))
	}
	x.crash(t)
	close(hold)
	b.orphan(t, c, 7)
	b.order(t, "after", 1, "text 10")

	run(t, newRunner(t, b, p, cfg), 9)
	if r := b.result(t, subjects.MessageSend, "after"); r.Status != subjects.StatusDone {
		t.Errorf("%+v", r)
	}
	if r := b.result(t, subjects.MessageSend, "held"); r.Status != subjects.StatusUnknown {
		t.Errorf("%+v", r)
	}
	natstest.Repeat(t, "look at the new consumer", func(ctx context.Context) error {
		consumer, err := b.js.Consumer(ctx, b.names.CommandsStream(), consumerName(9))
		if err == nil && consumer.CachedInfo().Config.OptStartSeq != before+1 {
			t.Errorf("begins at %d", consumer.CachedInfo().Config.OptStartSeq)
		}
		return err
	})
	checkOrder(t, p, 1, before+beyond+1)
	natstest.Eventually(t, "for the old consumer to go", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), attempt)
		defer cancel()
		_, err := b.js.Consumer(ctx, b.names.CommandsStream(), consumerName(7))
		return errors.Is(err, jetstream.ErrConsumerNotFound)
	})
}

// TestATermWhoseConsumerHasNoLeaderIsGivenUp, so that the next one has another consumer.
func TestATermWhoseConsumerHasNoLeaderIsGivenUp(t *testing.T) {
	t.Parallel()
	b, c := newClusterBus(t)
	p := newPlatform(t, b)
	r := newRunner(t, b, p, testConfig())
	r.stuckLimit = time.Second
	x := run(t, r, 7)
	b.order(t, "a", 1, "text 0")
	b.result(t, subjects.MessageSend, "a")
	b.orphan(t, c, 7)
	b.order(t, "b", 1, "text 1")
	if err := x.wait(t); !errors.Is(err, errStuck) {
		t.Fatal(err)
	}
	run(t, newRunner(t, b, p, testConfig()), 8)
	if got := b.result(t, subjects.MessageSend, "b"); got.Status != subjects.StatusDone {
		t.Errorf("%+v", got)
	}
	checkOrder(t, p, 1, 2)
}
