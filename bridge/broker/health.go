package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// healthTimeout bounds one question of [Broker.Healthy]; a cluster that is just losing a leader does not answer at all.
const healthTimeout = 3 * time.Second

// probeKey is the key in the bucket of the bridges that [Broker.Healthy] writes to.
const probeKey = "probe"

// Healthy proves that the bus works: it asks each stream and bucket how it is, and the embedded server for failed disks, and it
// writes a key, because a server whose storage is used up answers all the same. It returns what is wrong, nil if nothing is.
func (b *Broker) Healthy(ctx context.Context) error {
	if !b.conn.IsConnected() {
		return fmt.Errorf("nats is not connected: %w", b.state.cause(b.conn))
	}
	if b.host != nil {
		if err := failure(b.host.nats()); err != nil {
			return err
		}
	}
	for _, name := range b.streamNames() {
		if err := b.healthyStream(ctx, name); err != nil {
			return fmt.Errorf("stream %s: %w", name, err)
		}
	}
	return b.writes(ctx)
}

// writes proves that messages are stored.
func (b *Broker) writes(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	bucket, err := b.Lease(bounded)
	if err != nil {
		return err
	}
	if _, err := bucket.Put(bounded, probeKey, nil); err != nil {
		return fmt.Errorf("nothing can be stored: %w", err)
	}
	return nil
}

func (b *Broker) streamNames() []string {
	var names []string
	for _, stream := range b.names.Streams(b.settings) {
		names = append(names, stream.Name)
	}
	return append(names, bucketStream(b.names.BridgeBucket()), bucketStream(b.names.ContactsBucket()))
}

func (b *Broker) healthyStream(ctx context.Context, name string) error {
	bounded, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	stream, err := b.js.Stream(bounded, name)
	if err != nil {
		return err
	}
	return led(stream.CachedInfo())
}

// led reports a cluster's stream that has nobody who takes messages.
func led(info *jetstream.StreamInfo) error {
	if info.Cluster != nil && info.Cluster.Name != "" && info.Cluster.Leader == "" {
		return errors.New("has no leader")
	}
	return nil
}
