// Package pause keeps whether commands are paused, in a key-value bucket, so that every bridge on the same bus obeys, also one that starts
// later, and so that an operator needs nothing but the bus to pause and to resume.
package pause

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Key is the key in the bucket. A key that is missing or deleted says that commands are not paused. Any value but that of a [State] that
// is not paused says that they are: who writes something there by hand wants them to stop.
const Key = "pause"

// State is whether commands are paused.
type State struct {
	Paused bool          `json:"paused"`
	Since  subjects.Time `json:"since"`            // by the clock of whoever changed it; null if nobody ever did
	By     string        `json:"by,omitempty"`     // whoever changed it, for people
	Reason string        `json:"reason,omitempty"` // for people
}

// Switch pauses commands, resumes them and tells which it is.
type Switch struct {
	kv      jetstream.KeyValue
	log     *slog.Logger
	attempt time.Duration // limit of one look
	look    time.Duration // how often the state is read although no change was told
	again   time.Duration // pause after a failure
}

// New returns the switch in a bucket. It does no input or output.
func New(kv jetstream.KeyValue, log *slog.Logger) *Switch {
	return &Switch{kv: kv, log: log, attempt: 5 * time.Second, look: 10 * time.Second, again: time.Second}
}

// Pause asks all bridges to begin no more calls. It returns the state that holds, and whether that is new: commands that are paused already
// stay so since when they were. After an error that is not known.
func (s *Switch) Pause(ctx context.Context, by, reason string) (State, bool, error) {
	return s.set(ctx, State{Paused: true, By: by, Reason: reason})
}

// Resume asks them to go on, and returns what [Switch.Pause] does.
func (s *Switch) Resume(ctx context.Context, by, reason string) (State, bool, error) {
	return s.set(ctx, State{Paused: false, By: by, Reason: reason})
}

// set writes the state even if it seems to hold already: what was read may be older than what another operator has just written.
func (s *Switch) set(ctx context.Context, wanted State) (State, bool, error) {
	found, err := s.State(ctx)
	if err != nil {
		return State{}, false, err
	}
	changed := found.Paused != wanted.Paused
	if changed {
		wanted.Since = subjects.Time{Time: time.Now().UTC().Truncate(time.Millisecond)}
	} else {
		wanted = found
	}
	body, err := json.Marshal(wanted)
	if err != nil {
		return State{}, false, fmt.Errorf("pause: %w", err)
	}
	if _, err := s.kv.Put(ctx, Key, body); err != nil {
		return State{}, false, fmt.Errorf("pause: write key %s of bucket %s: %w", Key, s.kv.Bucket(), err)
	}
	return wanted, changed, nil
}

// State reads what holds now.
func (s *Switch) State(ctx context.Context) (State, error) {
	entry, err := s.kv.Get(ctx, Key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("pause: read key %s of bucket %s: %w", Key, s.kv.Bucket(), err)
	}
	return stateOf(entry), nil
}

// stateOf reads a value of the key. What cannot be read pauses.
func stateOf(entry jetstream.KeyValueEntry) State {
	if entry.Operation() != jetstream.KeyValuePut {
		return State{}
	}
	state := State{Paused: true}
	if err := json.Unmarshal(entry.Value(), &state); err != nil {
		return State{Paused: true, Since: subjects.Time{Time: entry.Created()}, Reason: "the key holds something that is not understood"}
	}
	return state
}
