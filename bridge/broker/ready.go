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
)

// API levels of nats-server that the bridge knows.
const (
	levelMessageTTL = 1 // 2.11
	levelSchedules  = 2 // 2.12
)

// Ready waits until the connection is up and all streams and buckets exist and fit. What passes by itself, such as a server that is
// away or a cluster without a leader, is tried again until ctx ends. What does not is returned at once: a [SettingError], an
// [OverlapError], a [PermissionError], or an account without JetStream.
func (b *Broker) Ready(ctx context.Context) error {
	wait := retryFirst
	for {
		err := b.prepare(ctx)
		if err == nil || ctx.Err() != nil || !transient(err) {
			return err
		}
		b.log.Debug("nats is not ready", "error", err)
		if paused := pause(ctx, wait); paused != nil {
			return fmt.Errorf("nats is not ready: %w (%w)", err, paused)
		}
		wait = min(2*wait, retryMost)
	}
}

func (b *Broker) prepare(ctx context.Context) error {
	if err := b.awaitConnection(ctx); err != nil {
		return err
	}
	ctx, done := b.state.watch(ctx)
	defer done()
	err := b.ensureAll(ctx)
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
			return fmt.Errorf("not connected: %w (%w)", cause(b.conn), context.Cause(ctx))
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
	level, err := b.level(ctx)
	if err != nil {
		return err
	}
	found := map[string]jetstream.StreamConfig{}
	for _, want := range b.names.Streams(b.settings) {
		if level < levelSchedules {
			want.AllowMsgSchedules = false
		}
		config, err := b.ensureStream(ctx, want)
		if err != nil {
			return err
		}
		found[want.Name] = config
	}
	if err := checkTogether(found[b.names.LedgerStream()], found[b.names.CommandsStream()]); err != nil {
		return err
	}
	return b.ensureBuckets(ctx)
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

func (b *Broker) ensureStream(ctx context.Context, want subjects.Stream) (jetstream.StreamConfig, error) {
	bounded, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	stream, err := b.js.Stream(bounded, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = b.createStream(bounded, want)
	}
	if err != nil {
		return jetstream.StreamConfig{}, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	found := stream.CachedInfo().Config
	remarks, err := checkStream(want, found)
	if err != nil {
		return found, err
	}
	for _, remark := range remarks {
		b.tellOnce(want.Name+remark.Setting, remark.harmless())
	}
	return found, nil
}

func (b *Broker) createStream(ctx context.Context, want subjects.Stream) (jetstream.Stream, error) {
	stream, err := b.js.CreateStream(ctx, streamConfig(want))
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		// Another bridge was faster, with other settings; it is checked like any stream that exists.
		return b.js.Stream(ctx, want.Name)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeOverlap {
		return nil, b.overlap(ctx, want)
	}
	if err == nil {
		b.log.Info("stream created", "stream", want.Name, "subjects", want.Subjects, "replicas", max(want.Replicas, 1))
	}
	return stream, err
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
