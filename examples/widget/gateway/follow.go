package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// source is a part of a stream and what is done with each message of it.
type source struct {
	stream   string
	subjects []string
	note     func(jetstream.Msg, time.Time)
}

func (g *Gateway) sources() []source {
	events := []string{g.names.Event(subjects.EventMessageCreated), g.names.Prefix() + ".conversation.*"}
	if g.cfg.Keyed {
		key := ".*.*"
		events = []string{g.names.Prefix() + ".event.message.created" + key, g.names.Prefix() + ".event.conversation.*" + key}
	}
	results := []string{}
	for _, k := range []subjects.Kind{subjects.ConversationStart, subjects.MessageSend} {
		results = append(results, g.names.Prefix()+".result."+string(k)+".*")
	}
	return []source{
		{g.names.CommandsStream(), []string{g.names.Command(subjects.ConversationStart)}, g.noteStart},
		{g.names.ResultsStream(), results, g.noteResult},
		{g.names.EventsStream(), events, g.noteEvent},
	}
}

// follow reads until ctx ends. Whatever fails is tried again from where it was.
func (g *Gateway) follow(ctx context.Context, s source, caughtUp func()) {
	defer caughtUp()
	r := &reader{source: s, js: g.js, since: time.Now().Add(-g.cfg.Lifetime), caughtUp: caughtUp}
	for told := false; ctx.Err() == nil; {
		before := r.last
		err := r.read(ctx)
		if ctx.Err() != nil {
			return
		}
		told = told && r.last == before
		if !told {
			g.log.WarnContext(ctx, "reading is interrupted", "stream", s.stream, "error", err)
			told = true
		}
		wait(ctx, time.Second)
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// reader is where the reading of a source has got to.
type reader struct {
	source
	js       jetstream.JetStream
	since    time.Time
	last     uint64 // sequence of the last message that was read
	caughtUp func()
}

func (r *reader) read(ctx context.Context) error {
	config, err := r.config(ctx)
	if err != nil {
		return err
	}
	consumer, err := r.js.OrderedConsumer(ctx, r.stream, config)
	if err != nil {
		return fmt.Errorf("read %s: %w", r.stream, err)
	}
	if consumer.CachedInfo().NumPending == 0 {
		r.caughtUp()
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("read %s: %w", r.stream, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("read %s: %w", r.stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("read %s: %w", r.stream, err)
		}
		r.note(m, meta.Timestamp)
		r.last = meta.Sequence.Stream
		if meta.NumPending == 0 {
			r.caughtUp()
		}
	}
}

// config begins after the last message that was read. A stream that is shorter than that is a new one.
func (r *reader) config(ctx context.Context) (jetstream.OrderedConsumerConfig, error) {
	config := jetstream.OrderedConsumerConfig{FilterSubjects: r.subjects, DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &r.since}
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return config, fmt.Errorf("read %s: %w", r.stream, err)
	}
	if r.last > 0 && stream.CachedInfo().State.LastSeq >= r.last {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartSequencePolicy, r.last+1, nil
	}
	return config, nil
}

// noteStart learns of a visitor. Commands of others have other ids.
func (g *Gateway) noteStart(m jetstream.Msg, at time.Time) {
	visitor, part, ok := parseCommandID(m.Headers().Get(subjects.HeaderMsgID))
	if !ok || part != partStart {
		return
	}
	var body struct {
		Contact struct {
			Name string `json:"name"`
		} `json:"contact"`
	}
	if json.Unmarshal(m.Data(), &body) == nil {
		g.chats.begin(visitor, body.Contact.Name, at)
	}
}

// noteResult learns how a visitor's command ended.
func (g *Gateway) noteResult(m jetstream.Msg, at time.Time) {
	visitor, part, ok := parseCommandID(m.Headers().Get(subjects.HeaderCommandID))
	if !ok {
		return
	}
	var r subjects.Result
	if json.Unmarshal(m.Data(), &r) != nil {
		return
	}
	if part == partStart {
		g.chats.started(visitor, r, at)
		return
	}
	g.chats.sent(visitor, part, r)
}

// conversationOf is what of a conversation tells in whose hands it is.
type conversationOf struct {
	Status string `json:"status"`
	Meta   struct {
		Assignee *struct {
			Name string `json:"name"`
		} `json:"assignee"`
	} `json:"meta"`
}

func (c conversationOf) state() state {
	switch {
	case c.Status == "resolved":
		return stateFinished
	case c.Status == "open" && c.Meta.Assignee != nil:
		return stateAgent
	case c.Status == "open":
		return stateWaiting
	}
	return stateBot
}

// noteEvent learns what happened in a conversation of the inbox.
func (g *Gateway) noteEvent(m jetstream.Msg, at time.Time) {
	h := m.Headers()
	conversation := h.Get(subjects.HeaderConversationID)
	if inbox := h.Get(subjects.HeaderInboxID); conversation == "" || inbox != "" && inbox != g.cfg.InboxID {
		return
	}
	if h.Get(subjects.HeaderEvent) != subjects.EventMessageCreated {
		var c conversationOf
		if json.Unmarshal(m.Data(), &c) == nil && c.Status != "" {
			g.chats.turned(conversation, c.state(), at)
		}
		return
	}
	var e struct {
		Content      string         `json:"content"`
		Conversation conversationOf `json:"conversation"`
		Sender       struct {
			Name string `json:"name"`
		} `json:"sender"`
	}
	if json.Unmarshal(m.Data(), &e) != nil {
		return
	}
	if e.Conversation.Status != "" {
		g.chats.turned(conversation, e.Conversation.state(), at)
	}
	if !forVisitors(h.Get(subjects.HeaderPrivate), h.Get(subjects.HeaderMessageType)) || e.Content == "" {
		return
	}
	said := message{ID: h.Get(subjects.HeaderMessageID), From: from(subjects.Origin(h.Get(subjects.HeaderOrigin))), Text: e.Content, At: at}
	if said.From == string(subjects.OriginAgent) {
		said.Name = e.Sender.Name // that of a bot is for people who run it
	}
	visitor, part, _ := parseCommandID(h.Get(subjects.HeaderEchoOf))
	g.chats.said(conversation, said, visitor, part)
}

// forVisitors keeps back notes among agents, and everything of which it is not certain that it is none.
func forVisitors(private, kind string) bool {
	return private == "false" && (kind == "incoming" || kind == "outgoing" || kind == "template")
}

func from(o subjects.Origin) string {
	if o == subjects.OriginCustomer {
		return fromVisitor
	}
	if o == subjects.OriginBot || o == subjects.OriginAgent {
		return string(o)
	}
	return "system"
}
