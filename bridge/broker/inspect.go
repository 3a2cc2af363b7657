package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Inspect checks what exists as [Broker.Ready] does, with the same errors, and makes and changes nothing. It returns the names of the streams, also those of
// buckets, that do not exist, which Ready would make. A server without JetStream is an error at once; with another one that may pass, it tries again until ctx ends.
func (b *Broker) Inspect(ctx context.Context) (missing []string, err error) {
	var absent []subjects.Stream
	err = b.again(ctx, func(ctx context.Context) error {
		missing, absent = nil, nil
		if err := b.checkStreams(ctx, func(_ context.Context, want subjects.Stream) (jetstream.StreamConfig, error) {
			missing, absent = append(missing, want.Name), append(absent, want)
			return streamConfig(want), nil
		}); err != nil {
			return err
		}
		buckets, err := b.inspectBuckets(ctx)
		missing = append(missing, buckets...)
		return err
	}, func(err error) bool { return transient(err) && !errors.Is(err, jetstream.ErrJetStreamNotEnabled) })
	if err != nil {
		return nil, err
	}
	return missing, b.overlapping(ctx, absent)
}

func (b *Broker) inspectBuckets(ctx context.Context) (missing []string, err error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	for _, config := range b.bucketConfigs() {
		name := bucketStream(config.Bucket)
		err := b.checkBucket(bounded, name)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			missing = append(missing, name)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("bucket %s: %w", config.Bucket, err)
		}
	}
	return missing, nil
}

// overlapping tells of a stream that takes the subjects of one that is still to be made. Who may not list streams is not told, and can make them all the same.
func (b *Broker) overlapping(ctx context.Context, absent []subjects.Stream) error {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	bounded, done := b.state.watch(bounded)
	defer done()
	for _, want := range absent {
		if taken := b.overlap(bounded, want); taken.Subject != "" {
			return taken
		}
	}
	return nil
}
