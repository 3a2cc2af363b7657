package bridge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// operate returns the queries by which operators look and act: over the bus, on the console, and by the command line.
func (p *process) operate(ready *readiness) map[string]rpc.Query {
	all := BusQueries(p.broker.JetStream(), p.names)
	all["bridge.status"] = p.status(ready)
	all["bridge.lanes"] = p.lanes
	all["bridge.streams"] = p.streams
	all["bridge.config"] = p.configuration
	return all
}

// BusQueries returns, by endpoint, those of the operators' queries that need nothing but the bus. So the command line can answer them itself, in the
// same way, when there is no bridge.
func BusQueries(js jetstream.JetStream, names subjects.Names) map[string]rpc.Query {
	b := &busQueries{js: js, names: names, letters: deadletter.NewStore(js, names)}
	return map[string]rpc.Query{
		"bridge.pause":       b.turn((*pause.Switch).Pause),
		"bridge.resume":      b.turn((*pause.Switch).Resume),
		"bridge.explain":     b.explain,
		"bridge.dead.list":   b.deadList,
		"bridge.dead.show":   b.deadShow,
		"bridge.dead.replay": b.deadReplay,
		"bridge.dead.drop":   b.deadDrop,
	}
}

// busQueries answers queries from the streams and buckets alone.
type busQueries struct {
	js      jetstream.JetStream
	names   subjects.Names
	letters *deadletter.Store
}

// parse reads a request strictly; an empty one asks for the defaults.
func parse(request []byte, into any) error {
	if len(bytes.TrimSpace(request)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(request))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("%w: %w", rpc.ErrRequest, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: must be one JSON object", rpc.ErrRequest)
	}
	return nil
}

// TurnRequest is the request of bridge.pause and bridge.resume.
type TurnRequest struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

// Turned is the answer to them: what holds now, and whether that is new.
type Turned struct {
	pause.State
	Changed bool `json:"changed"`
}

func (b *busQueries) turn(turn func(s *pause.Switch, ctx context.Context, by, reason string) (pause.State, bool, error)) rpc.Query {
	return func(ctx context.Context, request []byte) (any, error) {
		r := TurnRequest{By: "cx.rpc"}
		if err := parse(request, &r); err != nil {
			return nil, err
		}
		bucket, err := b.js.KeyValue(ctx, b.names.BridgeBucket())
		if err != nil {
			return nil, fmt.Errorf("bucket %s: %w", b.names.BridgeBucket(), err)
		}
		state, changed, err := turn(pause.New(bucket, slog.New(slog.DiscardHandler)), ctx, r.By, r.Reason)
		return Turned{State: state, Changed: changed}, err
	}
}

// newestTold is how far back the story of a conversation goes unless the request says.
const newestTold = 24 * time.Hour

// ExplainRequest is the request of bridge.explain; it has either an id or a conversation.
type ExplainRequest struct {
	ID           string      `json:"id"`
	Conversation subjects.ID `json:"conversation_id"`
	NewerThan    string      `json:"newer_than"` // of a conversation: a duration such as 90m; the last 24 h without one
}

func (b *busQueries) explain(ctx context.Context, request []byte) (any, error) {
	var r ExplainRequest
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if (r.ID == "") == r.Conversation.IsZero() {
		return nil, fmt.Errorf("%w: id is needed, or conversation_id", rpc.ErrRequest)
	}
	newer, err := ageOf("newer_than", r.NewerThan)
	if err != nil {
		return nil, err
	}
	if newer == 0 {
		newer = newestTold
	}
	e := explain.New(b.js, b.names)
	var account explain.Account
	if r.ID != "" {
		account, err = e.Explain(ctx, r.ID)
	} else {
		account, err = e.Conversation(ctx, r.Conversation.String(), time.Now().Add(-newer))
	}
	if errors.Is(err, explain.ErrUnknown) {
		err = &rpc.NotFoundError{Err: err}
	}
	return account, err
}

func ageOf(member, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%w: %s must be a duration such as 90m, not %q", rpc.ErrRequest, member, text)
	}
	return d, nil
}
