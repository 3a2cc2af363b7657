package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 5 * time.Second
	// accountPatience is how long a server that starts may say of an account that it has no JetStream.
	accountPatience = 3 * time.Second
)

// API levels of nats-server that the bridge knows.
const (
	levelMessageTTL = 1 // 2.11
	levelSchedules  = 2 // 2.12
)

// Ready waits until the connection is up and all streams and buckets exist and fit. What passes by itself, such as a server that is
// away or a cluster without a leader, is tried again until ctx ends. What does not is returned at once: a [SettingError], an
// [OverlapError], a [PermissionError]. So is, after a moment in which the server may still be starting, an account without JetStream.
func (b *Broker) Ready(ctx context.Context) error {
	var without time.Time // since when the account has been without JetStream
	return b.again(ctx, b.ensureAll, func(err error) bool {
		if !errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
			return transient(err) || beingMade(err)
		}
		if without.IsZero() {
			without = time.Now()
		}
		return time.Since(without) < accountPatience
	})
}

// again takes a step until it succeeds, or fails with an error that does not pass, or ctx ends.
func (b *Broker) again(ctx context.Context, step func(context.Context) error, passes func(error) bool) error {
	wait := retryFirst
	for {
		err := b.connected(ctx, step)
		if err == nil || ctx.Err() != nil || !passes(err) {
			return err
		}
		b.log.Debug("nats is not ready", "error", err)
		if paused := pause(ctx, wait); paused != nil {
			return fmt.Errorf("nats is not ready: %w (%w)", err, paused)
		}
		wait = min(2*wait, retryMost)
	}
}

// connected takes a step when there is a connection. A permission that it lacks ends it.
func (b *Broker) connected(ctx context.Context, step func(context.Context) error) error {
	if err := b.awaitConnection(ctx); err != nil {
		return err
	}
	ctx, done := b.state.watch(ctx)
	defer done()
	err := step(ctx)
	var missing *PermissionError
	if errors.As(context.Cause(ctx), &missing) {
		return missing
	}
	return err
}

func (b *Broker) awaitConnection(ctx context.Context) error {
	for {
		changed := b.state.waitChange()
		if b.conn.IsConnected() {
			return nil
		}
		if b.conn.IsClosed() {
			return fmt.Errorf("nats: %w", nats.ErrConnectionClosed)
		}
		select {
		case <-changed:
		case <-time.After(retryMost):
		case <-ctx.Done():
			return fmt.Errorf("not connected: %w (%w)", b.state.cause(b.conn), context.Cause(ctx))
		}
	}
}

func pause(ctx context.Context, wait time.Duration) error {
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ensureAll creates what is missing and checks what exists.
func (b *Broker) ensureAll(ctx context.Context) error {
	if err := b.checkStreams(ctx, b.createStream); err != nil {
		return err
	}
	return b.ensureBuckets(ctx)
}

// checkStreams checks the streams. For one that does not exist, absent says what it is, or will be.
func (b *Broker) checkStreams(ctx context.Context, absent func(context.Context, subjects.Stream) (jetstream.StreamConfig, error)) error {
	level, err := b.level(ctx)
	if err != nil {
		return err
	}
	for _, want := range b.names.Streams(b.settings) {
		if level < levelSchedules {
			want.AllowMsgSchedules = false
		}
		config, err := b.look(ctx, want, absent)
		if err != nil {
			return err
		}
		if want.Name == b.names.CommandsStream() {
			if err := checkCommands(want.Name, config); err != nil {
				return err
			}
		}
	}
	return nil
}

// level asks for the API level of the server that keeps the streams.
func (b *Broker) level(ctx context.Context) (int, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	account, err := b.js.AccountInfo(bounded)
	if errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return 0, fmt.Errorf("the NATS account of the bridge has no JetStream: enable it for the account (%w)", err)
	}
	if err != nil {
		return 0, fmt.Errorf("jetstream account: %w", err)
	}
	if account.API.Level < levelMessageTTL {
		return 0, errors.New("nats-server is too old: 2.11 or newer is needed, for lifetimes of single messages")
	}
	if account.API.Level < levelSchedules {
		b.tellOnce("schedules", "nats-server is older than 2.12: delayed commands are not available")
	}
	return account.API.Level, nil
}

// look checks one stream.
func (b *Broker) look(
	ctx context.Context, want subjects.Stream, absent func(context.Context, subjects.Stream) (jetstream.StreamConfig, error),
) (jetstream.StreamConfig, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := b.config(bounded, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		found, err = absent(bounded, want)
	}
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	remarks, err := checkStream(want, found)
	if err != nil {
		return found, err
	}
	for _, remark := range remarks {
		b.tellOnce(want.Name+remark.Setting, remark.harmless())
	}
	return found, nil
}

// config asks for the configuration of a stream.
func (b *Broker) config(ctx context.Context, name string) (jetstream.StreamConfig, error) {
	stream, err := b.js.Stream(ctx, name)
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	return stream.CachedInfo().Config, nil
}

func (b *Broker) createStream(ctx context.Context, want subjects.Stream) (jetstream.StreamConfig, error) {
	stream, err := b.js.CreateStream(ctx, streamConfig(want))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		// Another bridge was faster, with other settings; it is checked like any stream that exists.
		return b.config(ctx, want.Name)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeOverlap {
		return jetstream.StreamConfig{}, b.overlap(ctx, want)
	}
	if err != nil {
		return jetstream.StreamConfig{}, err
	}
	b.log.Info("stream created", "stream", want.Name, "subjects", want.Subjects, "replicas", max(want.Replicas, 1))
	return stream.CachedInfo().Config, nil
}

// tellOnce logs a remark the first time only.
func (b *Broker) tellOnce(key, text string) {
	b.mu.Lock()
	told := b.told[key]
	b.told[key] = true
	b.mu.Unlock()
	if !told {
		b.log.Warn(text)
	}
}

// streamConfig is the stream as JetStream wants it.
func streamConfig(s subjects.Stream) jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name: s.Name, Description: s.Description, Subjects: s.Subjects, Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage,
		MaxAge: s.MaxAge, Duplicates: s.DuplicateWindow, Replicas: max(s.Replicas, 1), MaxMsgs: -1, MaxBytes: -1, MaxConsumers: -1,
		MaxMsgsPerSubject: s.MaxMsgsPerSubject, DiscardNewPerSubject: s.DiscardNewPerSubject, AllowDirect: s.AllowDirect,
		AllowMsgTTL: s.AllowMsgTTL, AllowMsgSchedules: s.AllowMsgSchedules, Placement: placement(s.PlacementTags),
	}
	if s.MaxMsgsPerSubject == 0 {
		config.MaxMsgsPerSubject = -1
	}
	if s.DiscardNew {
		config.Discard = jetstream.DiscardNew
	}
	return config
}

func placement(tags []string) *jetstream.Placement {
	if len(tags) == 0 {
		return nil
	}
	return &jetstream.Placement{Tags: tags}
}
