package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Codes of JetStream's errors for which nats.go has no name.
const (
	codeNoSuitablePeers     = 10005
	codeInsufficientStorage = 10047
	codeInsufficientNow     = 10049
	codeOverlap             = 10065
)

// SettingError tells that a stream exists with a setting that breaks a guarantee of the bridge, and how to mend it.
type SettingError struct {
	// Stream is the name of the stream.
	Stream string
	// Setting is the name of the setting, as in the JSON of the stream's configuration.
	Setting string
	// Found is the value that the stream has.
	Found string
	// Needed is the value that the bridge needs.
	Needed string
	// Remedy is the command that mends it.
	Remedy string
}

// Error tells all of it in one line.
func (e *SettingError) Error() string {
	return fmt.Sprintf("stream %s: %s is %s, but %s is needed; mend it with: %s", e.Stream, e.Setting, e.Found, e.Needed, e.Remedy)
}

func (e *SettingError) harmless() string {
	return fmt.Sprintf("stream %s: %s is %s, and the configuration says %s; change it with: %s", e.Stream, e.Setting, e.Found, e.Needed, e.Remedy)
}

// OverlapError tells that a stream of the bridge cannot be created because another one takes the same subjects.
type OverlapError struct {
	// Stream is the stream that cannot be created.
	Stream string
	// Subject is the subject that is taken, empty if that could not be found out.
	Subject string
	// Others are the streams that take it.
	Others []string
}

// Error names streams and subject, and what to do.
func (e *OverlapError) Error() string {
	other := "another stream"
	if len(e.Others) > 0 {
		other = "stream " + strings.Join(e.Others, ", ")
	}
	subject := "one of its subjects"
	if e.Subject != "" {
		subject = fmt.Sprintf("subject %q", e.Subject)
	}
	return fmt.Sprintf("stream %s cannot be created: %s is taken by %s; change the subjects of that stream with nats stream edit, or set another subjects.prefix",
		e.Stream, subject, other)
}

// overlap finds out which subject is taken by which stream.
func (b *Broker) overlap(ctx context.Context, want subjects.Stream) *OverlapError {
	result := &OverlapError{Stream: want.Name}
	for _, subject := range want.Subjects {
		lister := b.js.StreamNames(ctx, jetstream.WithStreamListSubject(subject))
		for name := range lister.Name() {
			result.Subject = subject
			result.Others = append(result.Others, name)
		}
		if err := lister.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return result
		}
		if result.Subject != "" {
			return result
		}
	}
	return result
}

// beingMade reports whether a stream was missing although it had been made a moment ago: another bridge makes it at the same time, and not
// all servers of a cluster know of it yet. It is looked for, or made, once more.
func beingMade(err error) bool {
	return errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrBucketNotFound)
}

// transient reports whether an error passes by itself: no answer, no connection, no leader, or a server that is busy.
func transient(err error) bool {
	for _, passing := range []error{
		nats.ErrNoResponders, nats.ErrTimeout, nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrNoServers,
		nats.ErrStaleConnection, jetstream.ErrNoStreamResponse, jetstream.ErrJetStreamNotEnabled, context.DeadlineExceeded, context.Canceled,
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	var api *jetstream.APIError
	if !errors.As(err, &api) || api.ErrorCode == jetstream.JSErrCodeJetStreamNotEnabledForAccount {
		return false
	}
	switch api.ErrorCode {
	case codeNoSuitablePeers, codeInsufficientNow:
		return true
	case codeInsufficientStorage:
		return false
	}
	return api.Code == 503 || api.Code == 408 || api.Code == 429
}
