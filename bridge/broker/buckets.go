package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// markerTTL is how long the mark of a key that has expired stays, for those who watch it.
	markerTTL = time.Minute
	// contactsTTL is how long the id of a contact is remembered.
	contactsTTL = 30 * 24 * time.Hour
)

func (b *Broker) bucketConfigs() []jetstream.KeyValueConfig {
	replicas, place := max(b.settings.Replicas, 1), placement(b.settings.PlacementTags)
	return []jetstream.KeyValueConfig{
		{Bucket: b.names.BridgeBucket(), Description: "Which bridge carries out commands (internal)", History: 1, LimitMarkerTTL: markerTTL, Replicas: replicas, Placement: place},
		{Bucket: b.names.ContactsBucket(), Description: "Ids of contacts (internal)", History: 1, TTL: contactsTTL, LimitMarkerTTL: markerTTL, Replicas: replicas, Placement: place},
	}
}

func (b *Broker) ensureBuckets(ctx context.Context) error {
	for _, config := range b.bucketConfigs() {
		bucket, err := b.ensureBucket(ctx, config)
		if err != nil {
			return err
		}
		b.mu.Lock()
		b.buckets[config.Bucket] = bucket
		b.mu.Unlock()
	}
	return nil
}

func (b *Broker) ensureBucket(ctx context.Context, config jetstream.KeyValueConfig) (jetstream.KeyValue, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	bucket, err := b.js.KeyValue(bounded, config.Bucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = b.js.CreateKeyValue(bounded, config)
		if errors.Is(err, jetstream.ErrBucketExists) {
			bucket, err = b.js.KeyValue(bounded, config.Bucket)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", config.Bucket, err)
	}
	return bucket, b.checkBucket(bounded, bucketStream(config.Bucket))
}

// checkBucket looks at the stream of a bucket: keys must be able to expire one by one, and only the last value of a key counts.
func (b *Broker) checkBucket(ctx context.Context, name string) error {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return fmt.Errorf("stream %s: %w", name, err)
	}
	found := stream.CachedInfo().Config
	c := &checker{name: name}
	c.need(found.AllowMsgTTL, "allow_msg_ttl", found.AllowMsgTTL, true, c.edit("--allow-msg-ttl"))
	c.need(found.SubjectDeleteMarkerTTL > 0, "subject_delete_marker_ttl", found.SubjectDeleteMarkerTTL, markerTTL, c.edit("--subject-del-markers-ttl="+short(markerTTL)))
	c.need(found.MaxMsgsPerSubject == 1, "max_msgs_per_subject", found.MaxMsgsPerSubject, 1, c.edit("--max-msgs-per-subject=1"))
	c.need(found.Storage == jetstream.FileStorage, "storage", found.Storage, jetstream.FileStorage, c.remake())
	if c.broken != nil {
		return c.broken
	}
	return nil
}

func bucketStream(bucket string) string { return "KV_" + bucket }

// Lease is the bucket in which bridges agree on which of them carries out commands.
func (b *Broker) Lease(ctx context.Context) (jetstream.KeyValue, error) {
	return b.Bucket(ctx, b.names.BridgeBucket())
}

// Bucket is a bucket that exists, such as one of those that [Broker.Ready] makes.
func (b *Broker) Bucket(ctx context.Context, name string) (jetstream.KeyValue, error) {
	b.mu.Lock()
	known := b.buckets[name]
	b.mu.Unlock()
	if known != nil {
		return known, nil
	}
	bucket, err := b.js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("bucket %s: %w", name, err)
	}
	return bucket, nil
}
