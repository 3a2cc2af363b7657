package explain

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/subjects"
)

// Bounds of the story of a conversation; what is left out is told.
const (
	mostEvents   = 500
	mostCommands = 100
	mostOpen     = 20_000 // commands that have not ended, whose bodies are looked at
	pageLetters  = 200
)

// Conversation tells everything known of a conversation since a time: its events, and all commands in it. It reads the bodies of results and of
// commands that have not ended, because no header tells the conversation of them. The error is [ErrUnknown] if there is nothing.
func (e *Explainer) Conversation(ctx context.Context, id string, since time.Time) (Account, error) {
	c := &conversation{id: id, gathering: &gathering{
		Explainer: e, since: since, stories: map[string]*story{}, messages: map[string]bool{}, named: map[string]bool{"conversation": true},
	}}
	for _, step := range []func(context.Context) error{c.events, c.results, c.open, c.recent, c.published, c.letters} {
		if err := step(ctx); err != nil {
			return Account{}, fmt.Errorf("explain conversation %s: %w", id, err)
		}
	}
	if len(c.entries) == 0 {
		return Account{}, fmt.Errorf("conversation %s: %w", id, ErrUnknown)
	}
	commands, remarks, err := c.states(ctx)
	if err != nil {
		return Account{}, fmt.Errorf("explain conversation %s: %w", id, err)
	}
	c.sort()
	return Account{ID: id, Is: []string{"conversation"}, Commands: commands, Entries: c.entries, Remarks: append(remarks, c.remarks...)}, nil
}

// conversation is the story of a conversation while it comes together.
type conversation struct {
	*gathering
	id      string
	remarks []string
}

// sort puts the entries in order of time.
func (g *gathering) sort() {
	ranks := order()
	slices.SortStableFunc(g.entries, func(a, b Entry) int {
		return cmp.Or(a.Time.Compare(b.Time.Time), cmp.Compare(slices.Index(ranks, a.What), slices.Index(ranks, b.What)), cmp.Compare(a.Sequence, b.Sequence))
	})
}

// events reads the headers of the events.
func (c *conversation) events(ctx context.Context) error {
	total := 0
	s := scan{stream: c.names.EventsStream(), since: c.since, take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		h := m.Headers()
		if decoded(h, subjects.HeaderConversationID) != c.id {
			return
		}
		if total++; len(c.entries) >= 2*mostEvents {
			c.entries = slices.Delete(c.entries, 0, mostEvents)
		}
		c.add(Entry{
			Time: subjects.Time{Time: meta.Timestamp}, What: Event, CommandID: decoded(h, subjects.HeaderEchoOf), MessageID: decoded(h, subjects.HeaderMessageID),
			Text: eventText(h), Subject: m.Subject(), Stream: meta.Stream, Sequence: meta.Sequence.Stream,
		})
	}}
	if err := s.run(ctx, c.js); err != nil {
		return err
	}
	if total > mostEvents {
		c.entries = slices.Clone(c.entries[len(c.entries)-mostEvents:])
		c.remarks = append(c.remarks, fmt.Sprintf("only the last %d of %d events are told", mostEvents, total))
	}
	return nil
}

// results reads the results of commands in the conversation.
func (c *conversation) results(ctx context.Context) error {
	s := scan{stream: c.names.ResultsStream(), since: c.since, bodies: true, take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		var r subjects.Result
		if json.Unmarshal(m.Data(), &r) != nil || r.ConversationID.String() != c.id {
			return
		}
		s := c.story(r.CommandID)
		s.result, s.kind = &r, r.Command
		c.add(resultEntry(m, meta, r))
	}}
	return s.run(ctx, c.js)
}

// open reads the commands that have not ended.
func (c *conversation) open(ctx context.Context) error {
	position, err := c.position(ctx)
	if err != nil {
		return err
	}
	s := scan{stream: c.names.CommandsStream(), bodies: true, take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		var body struct {
			ConversationID subjects.ID `json:"conversation_id"`
		}
		if json.Unmarshal(m.Data(), &body) == nil && body.ConversationID.String() == c.id {
			c.story(commandID(m.Headers(), meta, c.created))
		}
	}}
	stream, err := c.js.Stream(ctx, c.names.CommandsStream())
	if err != nil {
		return err
	}
	c.created = stream.CachedInfo().Created
	state := stream.CachedInfo().State
	if position != nil {
		s.last = position.AckFloor.Stream
	}
	if waiting := state.LastSeq - min(state.LastSeq, max(s.last, state.FirstSeq)); waiting > mostOpen {
		c.remarks = append(c.remarks, fmt.Sprintf("%d commands are on the bus and have not ended; they were not searched for those of this conversation", waiting))
		return nil
	}
	return s.run(ctx, c.js)
}

// recent reads what the ledger has of the latest commands; the others are left out.
func (c *conversation) recent(ctx context.Context) error {
	if len(c.commands) > mostCommands {
		left := c.commands[:len(c.commands)-mostCommands]
		c.remarks = append(c.remarks, fmt.Sprintf("only the last %d of %d commands are told", mostCommands, len(c.commands)))
		for _, id := range left {
			delete(c.stories, id)
		}
		c.commands = slices.Clone(c.commands[len(left):])
		c.entries = slices.DeleteFunc(c.entries, func(e Entry) bool { return e.What == Result && c.stories[e.CommandID] == nil })
	}
	for _, id := range c.commands {
		s := c.stories[id]
		var err error
		if s.record, err = c.ledger.Find(ctx, id); err != nil {
			return err
		}
		c.recorded(id, s)
	}
	return nil
}

// letters reads the dead letters of the commands, a page at a time because of their bodies.
func (c *conversation) letters(ctx context.Context) error {
	filter := deadletter.Filter{Subject: c.names.Prefix() + ".dead.cmd.>", NewerThan: time.Since(c.since), Limit: pageLetters}
	for {
		page, err := c.gathering.letters.List(ctx, filter)
		if err != nil {
			return err
		}
		for _, letter := range page.Letters {
			if c.stories[letter.CommandID] != nil {
				c.letter(letter)
			}
		}
		if page.Next == 0 {
			return nil
		}
		filter.After = page.Next
	}
}

func resultEntry(m jetstream.Msg, meta *jetstream.MsgMetadata, r subjects.Result) Entry {
	return Entry{
		Time: subjects.Time{Time: meta.Timestamp}, What: Result, CommandID: r.CommandID, MessageID: r.MessageID.String(),
		Text: "result published: " + ending(r), Subject: m.Subject(), Stream: meta.Stream, Sequence: meta.Sequence.Stream,
	}
}
