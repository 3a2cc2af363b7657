// Package lease elects the one bridge that carries out commands: a key in a
// NATS key-value bucket that expires unless its holder renews it. A holder knows by its
// own clock, without asking anybody, when it must no longer act. See DESIGN.md.
package lease

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrLost is the end of a term whose key was taken or deleted by somebody else.
var ErrLost = errors.New("lease: lost to somebody else")

// ErrExpired is the end of a term that could not be renewed in time.
var ErrExpired = errors.New("lease: not renewed in time")

// ErrReleased is the end of a term that was given up by Release.
var ErrReleased = errors.New("lease: released")

// ErrBucket is part of the error for a bucket with settings that cannot carry
// a lease.
var ErrBucket = errors.New("lease: unfit bucket")

// Config is what can be set.
type Config struct {
	// TTL is how long the key lives without a renewal, and so the longest time
	// until another bridge takes over from one that died. 5 s to 30 s is
	// sensible. Everything else follows from it: a renewal every fifth of it, and a term
	// that ends by itself four fifths after the last successful one was sent.
	TTL time.Duration `koanf:"lease_ttl"`
}

// DefaultConfig returns ten seconds.
func DefaultConfig() Config { return Config{TTL: 10 * time.Second} }

// Check reports a time to live outside two seconds (the server counts in whole
// ones) to an hour.
func (c Config) Check(report func(key, rule string, value any)) {
	if c.TTL < 2*time.Second || c.TTL > time.Hour {
		report("lease_ttl", "must be between 2s and 1h", c.TTL)
	}
}

// Publisher is the part of jetstream.JetStream that renewals need: the update
// of the key-value interface would drop the time to live of the key.
type Publisher interface {
	PublishMsg(ctx context.Context, msg *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
	Options() jetstream.JetStreamOptions
}

// Lease is one key that at most one holder has at a time.
type Lease struct {
	js     Publisher
	kv     jetstream.KeyValue
	key    string
	holder string
	log    *slog.Logger
	clock  func() time.Duration

	ttl     time.Duration // as promised to ourselves
	every   time.Duration // between renewals
	attempt time.Duration // for one exchange with the server
	pause   time.Duration // after a failed renewal
	poll    time.Duration // of a standby, should the watcher be dead
	opening time.Duration // of a watcher
}

// New returns a lease on a key of a bucket that was opened with the same
// JetStream context js, so that both use the same domain or API prefix. The
// holder is a name for people; it need not be unique. The bucket is checked by
// Acquire: on disk, with LimitMarkerTTL, without a shorter TTL of its own, no
// mirror.
func New(js Publisher, kv jetstream.KeyValue, key, holder string, ttl time.Duration, log *slog.Logger) *Lease {
	return &Lease{
		js: js, kv: kv, key: key, holder: holder,
		log:     log.With("lease", kv.Bucket()+"/"+key, "holder", holder),
		clock:   newClock(),
		ttl:     ttl,
		every:   ttl / 5,
		attempt: max(ttl/10, 250*time.Millisecond),
		pause:   ttl / 20,
		poll:    ttl / 4,
		opening: max(ttl/4, 2*time.Second),
	}
}

// Holder tells who holds the lease and in which epoch; the name is empty and the epoch 0 when
// nobody does. The answer may be a moment old: it informs and decides nothing.
func (l *Lease) Holder(ctx context.Context) (holder string, epoch uint64, err error) {
	found, err := l.read(ctx)
	if err != nil {
		return "", 0, fmt.Errorf("read lease: %w", err)
	}
	return found.Holder, found.Epoch, nil
}

// record is the value of the key.
type record struct {
	Holder string `json:"holder"`
	Epoch  uint64 `json:"epoch,omitempty"` // from the first renewal on
	Term   string `json:"term"`            // a random name of this call of Acquire
}

// state is what is stored under the key; the zero state means nothing.
type state struct {
	record
	revision uint64
}

// read returns what is stored. A replicated bucket may answer from a follower
// that lags behind.
func (l *Lease) read(ctx context.Context) (state, error) {
	entry, err := l.kv.Get(ctx, l.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return state{}, nil
	}
	if err != nil {
		return state{}, err
	}
	return decode(entry)
}

func decode(entry jetstream.KeyValueEntry) (state, error) {
	s := state{revision: entry.Revision()}
	if err := json.Unmarshal(entry.Value(), &s.record); err != nil {
		return state{}, fmt.Errorf("value of revision %d: %w", s.revision, err)
	}
	if s.Epoch == 0 {
		s.Epoch = s.revision
	}
	return s, nil
}

// create writes the key if there is none. The marker is the revision of its
// deletion, if known: without it a replicated bucket may ask a follower that
// has not heard of the deletion yet.
func (l *Lease) create(ctx context.Context, r record, marker uint64) (revision uint64, err error) {
	if marker != 0 {
		if revision, err = l.replace(ctx, r, marker); !refused(err) {
			return revision, err
		}
	}
	value, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	return l.kv.Create(ctx, l.key, value, jetstream.KeyTTL(l.serverTTL()))
}

// replace writes the key with its full time to live if it still has that
// revision, be it a value or the marker of a deletion.
func (l *Lease) replace(ctx context.Context, r record, revision uint64) (uint64, error) {
	value, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	ack, err := l.js.PublishMsg(ctx,
		&nats.Msg{Subject: l.subject(), Data: value, Header: nats.Header{}},
		jetstream.WithExpectStream("KV_"+l.kv.Bucket()),
		jetstream.WithExpectLastSequencePerSubject(revision),
		jetstream.WithMsgTTL(l.serverTTL()))
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// subject is where the bucket takes its values, as the key-value interface
// has it: in another domain behind the prefix of its API.
func (l *Lease) subject() string {
	opts, prefix := l.js.Options(), ""
	switch {
	case opts.Domain != "":
		prefix = "$JS." + opts.Domain + ".API."
	case opts.APIPrefix != "":
		prefix = strings.TrimSuffix(opts.APIPrefix, ".") + "."
	}
	if prefix == jetstream.DefaultAPIPrefix {
		prefix = ""
	}
	return prefix + "$KV." + l.kv.Bucket() + "." + l.key
}

// serverTTL is the time to live rounded up, as the server cuts off parts of a
// second: the key must never expire before we think it does.
func (l *Lease) serverTTL() time.Duration {
	return (l.ttl + time.Second - 1).Truncate(time.Second)
}

// usable is the part of the time to live in which a term is valid. The rest is
// for clocks that differ between servers.
func (l *Lease) usable() time.Duration { return l.ttl - l.ttl/5 }

// checkBucket refuses a bucket whose keys may vanish early, or whose revisions
// may start again.
func (l *Lease) checkBucket(ctx context.Context) error {
	status, err := l.kv.Status(ctx)
	if err != nil {
		return fmt.Errorf("bucket %s: %w", l.kv.Bucket(), err)
	}
	config := status.Config()
	switch {
	case config.Mirror != nil:
		err = errors.New("it is a mirror")
	case config.Storage != jetstream.FileStorage:
		err = errors.New("it is not stored on disk, so that epochs could start again")
	case config.LimitMarkerTTL <= 0:
		err = errors.New("it has no limit marker ttl, so that keys cannot expire")
	case config.TTL > 0 && config.TTL < l.serverTTL():
		err = fmt.Errorf("its keys live for %s, less than a lease (%s)", config.TTL, l.serverTTL())
	}
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrBucket, l.kv.Bucket(), err)
	}
	return nil
}

// refused reports whether the server did not store a write because the key has
// another revision; any other error leaves open what happened.
func refused(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.As(err, &api) &&
		(api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
			api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

func newTermName() string { return rand.Text() }
