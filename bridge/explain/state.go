package explain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/subjects"
)

// consumerPrefix begins the names of the consumers by which bridges take commands, one for each term.
const consumerPrefix = "cxbridge-"

// states tells where each command of the answer stands, and what holds those up that have not ended.
func (g *gathering) states(ctx context.Context) (commands []Command, remarks []string, err error) {
	commands, remarks = []Command{}, []string{}
	open := false
	for _, id := range g.commands {
		s := g.stories[id]
		if !s.known() {
			if id == g.id {
				continue
			}
			remarks = append(remarks, fmt.Sprintf("command %s is named, but nothing else is known of it any more", id))
			continue
		}
		c := Command{ID: id, Command: s.kind}
		if r := s.ended(); r != nil {
			c.State, c.Text = string(r.Status), ending(*r)
		} else {
			open = true
			if c.State, c.Text, err = g.unfinished(ctx, s); err != nil {
				return nil, nil, err
			}
			c.Text = c.State + ": " + c.Text
		}
		commands = append(commands, c)
	}
	if open {
		remarks, err = g.paused(ctx, remarks)
	}
	return commands, remarks, err
}

func (s *story) known() bool {
	return s.scheduled || s.sequence > 0 || s.record.Claim != nil || s.ended() != nil
}

// ended returns how the command ended, or nil.
func (s *story) ended() *subjects.Result {
	if s.record.Outcome != nil {
		return &s.record.Outcome.Result
	}
	return s.result
}

func (g *gathering) unfinished(ctx context.Context, s *story) (state, text string, err error) {
	if s.record.Claim != nil {
		return StateClaimed, "its call is under way, or is being looked for after a bridge stopped", nil
	}
	if s.sequence == 0 {
		return StateScheduled, "its time has not come, or the schedule was cancelled", nil
	}
	position, err := g.position(ctx)
	if err != nil {
		return "", "", err
	}
	switch {
	case position == nil:
		return StateWaiting, "no bridge has carried out commands so far", nil
	case s.sequence <= position.AckFloor.Stream:
		return StateForgotten, "it ended, and the ledger does not remember how any more", nil
	case s.sequence <= position.Delivered.Stream:
		return StateTaken, "a bridge holds it; it waits for its turn in its conversation, for the rate limit, for the API or for a pause to end", nil
	}
	return StateWaiting, fmt.Sprintf("at most %d messages of the stream come before it", s.sequence-position.Delivered.Stream-1), nil
}

// position returns how far the newest term has come, or nil if there was none.
func (g *gathering) position(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	stream, err := g.js.Stream(ctx, g.names.CommandsStream())
	if err != nil {
		return nil, err
	}
	var newest *jetstream.ConsumerInfo
	list := stream.ListConsumers(ctx)
	for info := range list.Info() {
		if strings.HasPrefix(info.Name, consumerPrefix) && (newest == nil || info.Created.After(newest.Created)) {
			newest = info
		}
	}
	return newest, list.Err()
}

// paused adds a remark if commands are paused.
func (g *gathering) paused(ctx context.Context, remarks []string) ([]string, error) {
	bucket, err := g.js.KeyValue(ctx, g.names.BridgeBucket())
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return append(remarks, "no bridge has run on this bus so far"), nil
	}
	if err != nil {
		return nil, err
	}
	state, err := pause.New(bucket, slog.New(slog.DiscardHandler)).State(ctx)
	if err != nil {
		return nil, err
	}
	if state.Paused {
		remarks = append(remarks, "commands are paused since "+state.Since.String())
	}
	return remarks, nil
}
