package explain

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// gathering is the answer to one question while it comes together. It begins with one id of which it is not known what it names, and learns
// on the way which commands and messages belong to it.
type gathering struct {
	*Explainer
	id       string
	commands []string          // ids; the first is the one asked for
	stories  map[string]*story // by command id
	messages map[string]bool   // ids
	entries  []Entry
	named    map[string]bool // what the id asked for is the name of
	created  time.Time       // when the stream of commands was made
	since    time.Time       // nothing older is read of commands; zero for all
}

// story is what is known of one command.
type story struct {
	looked    bool
	kind      subjects.Kind
	record    ledger.Record
	result    *subjects.Result
	sequence  uint64 // in the stream of commands, of its first message; 0 without one
	scheduled bool
}

func newGathering(e *Explainer, id string) *gathering {
	g := &gathering{Explainer: e, id: id, stories: map[string]*story{}, messages: map[string]bool{id: true}, named: map[string]bool{}}
	g.story(id)
	return g
}

// story returns the story of a command; from then on the command belongs to the answer.
func (g *gathering) story(commandID string) *story {
	if s, ok := g.stories[commandID]; ok {
		return s
	}
	g.commands = append(g.commands, commandID)
	s := &story{}
	g.stories[commandID] = s
	return s
}

func (g *gathering) run(ctx context.Context) error {
	steps := []func(context.Context) error{g.endings, g.events, g.makers, g.endings, g.published, g.dead}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// add adds an entry. Bridges tell milliseconds and servers nanoseconds; what is in the same millisecond is told in the order of its kinds.
func (g *gathering) add(e Entry) {
	e.Time.Time = e.Time.Truncate(time.Millisecond)
	g.entries = append(g.entries, e)
	switch {
	case e.CommandID == g.id:
		g.named["command"] = true
	case e.MessageID == g.id:
		g.named["message"] = true
	}
}

// is tells what the id asked for names.
func (g *gathering) is() []string {
	names := []string{}
	for _, name := range []string{"command", "message", "event"} {
		if g.named[name] {
			names = append(names, name)
		}
	}
	return names
}

// endings reads what the ledger and the results tell of the commands that have not been looked up yet.
func (g *gathering) endings(ctx context.Context) error {
	for _, id := range g.commands {
		s := g.stories[id]
		if s.looked {
			continue
		}
		s.looked = true
		var err error
		if s.record, err = g.ledger.Find(ctx, id); err != nil {
			return err
		}
		g.recorded(id, s)
		if err := g.results(ctx, g.names.Prefix()+".result.*.*."+subjects.Token(id), func(r subjects.Result, e Entry) {
			if r.CommandID != id {
				return
			}
			s.result, s.kind = &r, r.Command
			g.made(r.MessageID.String())
			g.add(e)
		}); err != nil {
			return err
		}
	}
	return nil
}

// recorded adds what the ledger tells.
func (g *gathering) recorded(id string, s *story) {
	if c := s.record.Claim; c != nil {
		s.kind = c.Kind
		g.add(Entry{Time: subjects.Time{Time: c.At}, What: Claimed, CommandID: id, Text: claimText(*c), Stream: g.names.LedgerStream(), Sequence: c.Seq})
	}
	o := s.record.Outcome
	if o == nil {
		return
	}
	s.kind = o.Result.Command
	g.made(o.MessageID)
	for _, a := range o.History {
		g.add(Entry{Time: a.At, What: Called, CommandID: id, Text: attemptText(a)})
	}
	g.add(Entry{
		Time: subjects.Time{Time: o.At}, What: Settled, CommandID: id, MessageID: o.MessageID, Text: "recorded as " + ending(o.Result),
		Stream: g.names.LedgerStream(), Sequence: o.Seq,
	})
}

// made notes that a message belongs to the answer.
func (g *gathering) made(messageID string) {
	if messageID != "" {
		g.messages[messageID] = true
	}
}

// results reads results on subjects that fit.
func (g *gathering) results(ctx context.Context, filter string, take func(subjects.Result, Entry)) error {
	s := scan{stream: g.names.ResultsStream(), filter: filter, bodies: true, take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		var r subjects.Result
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			return // somebody else's message on our subject is no result
		}
		take(r, resultEntry(m, meta, r))
	}}
	return s.run(ctx, g.js)
}

// events reads the headers of all events, for those that have the id, that are of the message, or that are an echo of the command.
func (g *gathering) events(ctx context.Context) error {
	s := scan{stream: g.names.EventsStream(), take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		h := m.Headers()
		message, cause := decoded(h, subjects.HeaderMessageID), decoded(h, subjects.HeaderEchoOf)
		_, echo := g.stories[cause]
		asked := h.Get(subjects.HeaderMsgID) == g.id
		if !asked && !echo && (message == "" || !g.messages[message]) {
			return
		}
		if asked {
			g.named["event"] = true
		}
		if cause != "" {
			g.story(cause)
		}
		if asked || echo {
			g.made(message)
		}
		g.add(Entry{
			Time: subjects.Time{Time: meta.Timestamp}, What: Event, CommandID: cause, MessageID: message, Text: eventText(h),
			Subject: m.Subject(), Stream: meta.Stream, Sequence: meta.Sequence.Stream,
		})
	}}
	return s.run(ctx, g.js)
}

// makers looks for the command that made a message, if the event does not tell.
func (g *gathering) makers(ctx context.Context) error {
	if len(g.commands) > 1 || g.named["command"] && !g.named["message"] {
		return nil
	}
	return g.results(ctx, "", func(r subjects.Result, _ Entry) {
		if id := r.MessageID.String(); id != "" && g.messages[id] {
			g.story(r.CommandID)
		}
	})
}

// published reads the headers of all commands, for those of the answer, and for replays of them.
func (g *gathering) published(ctx context.Context) error {
	stream, err := g.js.Stream(ctx, g.names.CommandsStream())
	if err != nil {
		return err
	}
	g.created = stream.CachedInfo().Created
	s := scan{stream: g.names.CommandsStream(), since: g.since, take: func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		h := m.Headers()
		id := commandID(h, meta, g.created)
		entry := Entry{
			Time: subjects.Time{Time: meta.Timestamp}, CommandID: id, Subject: m.Subject(), Stream: meta.Stream, Sequence: meta.Sequence.Stream,
		}
		if s, ok := g.stories[id]; ok {
			g.stored(s, entry, h)
		}
		if original := h.Get(subjects.HeaderReplayOf); g.stories[original] != nil && original != id {
			entry.CommandID, entry.What, entry.Text = original, Replayed, "replayed as command "+id
			g.add(entry)
		}
	}}
	return s.run(ctx, g.js)
}

// stored adds a message of a command.
func (g *gathering) stored(s *story, e Entry, h nats.Header) {
	kind, _, ok := g.names.ParseCommand(e.Subject)
	switch {
	case !ok:
		s.scheduled = true
		e.What, e.Text = Scheduled, scheduleText(h)
	case s.sequence > 0:
		e.What, e.Text = Published, "published again with the same id; it is answered with the first result"
	default:
		s.sequence, s.kind = e.Sequence, kind
		e.What, e.Text = Published, "command "+string(kind)+" published"+conditions(h)
	}
	g.add(e)
}

// commandID is the id that the bridge gives a command.
func commandID(h nats.Header, meta *jetstream.MsgMetadata, created time.Time) string {
	for _, name := range []string{subjects.HeaderMsgID, subjects.HeaderCEID} {
		if id := h.Get(name); id != "" {
			return id
		}
	}
	return meta.Stream + "-" + strconv.FormatInt(created.UnixNano(), 10) + "-" + strconv.FormatUint(meta.Sequence.Stream, 10)
}

// dead reads the dead letters of the commands.
func (g *gathering) dead(ctx context.Context) error {
	for _, id := range g.commands {
		page, err := g.letters.List(ctx, deadletter.Filter{CommandID: id, Subject: g.names.Prefix() + ".dead.cmd.>"})
		if err != nil {
			return err
		}
		for _, letter := range page.Letters {
			g.letter(letter)
		}
	}
	return nil
}

func (g *gathering) letter(l deadletter.Stored) {
	s := g.stories[l.CommandID]
	if kind, _, ok := g.names.ParseCommand(l.Original.Subject); ok && s.kind == "" {
		s.kind = kind
	}
	if s.record.Outcome == nil { // the ledger has forgotten what the letter still tells
		for _, a := range l.History {
			g.add(Entry{Time: a.At, What: Called, CommandID: l.CommandID, Text: attemptText(a)})
		}
	}
	if s.result == nil && s.record.Outcome == nil {
		s.result = &subjects.Result{CommandID: l.CommandID, Command: s.kind, Status: l.Status, Reason: l.Reason, Detail: l.Detail, Attempts: l.Attempts}
	}
	g.add(Entry{
		Time: subjects.Time{Time: l.StoredAt}, What: DeadLetter, CommandID: l.CommandID,
		Text:    "dead letter " + strconv.FormatUint(l.Seq, 10) + ": " + reasonText(l.Status, l.Reason, l.Detail),
		Subject: l.Subject, Stream: g.names.DeadStream(), Sequence: l.Seq,
	})
}

// decoded returns a header that comes from a body, and so is percent-encoded.
func decoded(h nats.Header, name string) string {
	text := h.Get(name)
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
