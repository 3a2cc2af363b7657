package natstest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

func TestRestartKeepsPortAndMessages(t *testing.T) {
	s := natstest.Start(t)
	js := s.JetStream(t)
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}})
	if _, err := js.Publish(t.Context(), "s.1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Stop()
	s.Restart(t)
	// The same connection comes back, and the message is still there.
	natstest.Eventually(t, "the message to be found after the restart", func() bool {
		stream, err := js.Stream(t.Context(), "S")
		return err == nil && stream.CachedInfo().State.Msgs == 1
	})
}

func TestClusterSurvivesItsLeader(t *testing.T) {
	c := natstest.StartCluster(t, 3)
	js := c.JetStream(t)
	if timeout := js.Options().DefaultTimeout; timeout > natstest.Patience/10 {
		t.Errorf("a request that is not answered lasts %s", timeout)
	}
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	publish := func(id string) {
		natstest.Repeat(t, "publish "+id, func(ctx context.Context) error {
			_, err := js.Publish(ctx, "s."+id, nil, jetstream.WithMsgID(id))
			return err
		})
	}
	publish("1")
	old := c.StreamLeader(t, "S")
	old.Stop()
	if c.StreamLeader(t, "S") == old {
		t.Fatal("the stopped server still leads the stream")
	}
	publish("2")
	old.Restart(t)
	c.WaitReady(t)
}

func TestRepeatBoundsEachAttempt(t *testing.T) {
	attempts := 0
	natstest.Repeat(t, "something that fails once", func(ctx context.Context) error {
		if end, ok := ctx.Deadline(); !ok || time.Until(end) > natstest.Patience/10 {
			t.Errorf("an attempt ends at %s", end)
		}
		if attempts++; attempts == 1 {
			return jetstream.ErrNoStreamResponse
		}
		return nil
	})
	if attempts != 2 {
		t.Errorf("%d attempts", attempts)
	}
}
