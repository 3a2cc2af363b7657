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
	natstest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Replicas: 3})
	if _, err := js.Publish(t.Context(), "s.1", []byte("x"), jetstream.WithMsgID("1")); err != nil {
		t.Fatal(err)
	}
	old := c.StreamLeader(t, "S")
	old.Stop()
	if c.StreamLeader(t, "S") == old {
		t.Fatal("the stopped server still leads the stream")
	}
	natstest.Eventually(t, "a publish after the loss of the leader", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := js.Publish(ctx, "s.2", []byte("y"), jetstream.WithMsgID("2"))
		return err == nil
	})
	old.Restart(t)
	c.WaitReady(t)
}
