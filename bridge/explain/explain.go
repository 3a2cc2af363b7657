// Package explain tells everything that the bus knows of one command, message or event, in order of time. It only reads.
//
// Streams have no index of ids, so headers of whole streams are read; that takes seconds where there are millions of messages. Bodies hold
// personal data and are told nothing of.
package explain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

// ErrUnknown says that nothing on the bus has an id, or no longer.
var ErrUnknown = errors.New("nothing is known of it: no stream that the bridge keeps has it, or no longer")

// What names what an entry tells of.
type What string

// The kinds of entries. Those of the same moment are told in this order.
const (
	Scheduled  What = "scheduled"   // a command was stored for later
	Published  What = "published"   // a command was stored
	Claimed    What = "claimed"     // the bridge recorded that it is about to carry the command out
	Called     What = "called"      // the API was called, by the clock of the bridge
	Event      What = "event"       // a webhook event was stored
	Settled    What = "settled"     // the bridge recorded how the command ended
	DeadLetter What = "dead_letter" // a dead letter was stored
	Result     What = "result"      // the result was stored
	Replayed   What = "replayed"    // a replay of the command was stored
)

func order() []What {
	return []What{Scheduled, Published, Claimed, Called, Event, Settled, DeadLetter, Result, Replayed}
}

// Entry is one thing that happened.
type Entry struct {
	Time      subjects.Time `json:"time"`
	What      What          `json:"what"`
	CommandID string        `json:"command_id,omitempty"` // that it is about
	MessageID string        `json:"message_id,omitempty"` // that it is about
	Text      string        `json:"text"`                 // one line for people
	Subject   string        `json:"subject,omitempty"`    // of the message that tells it
	Stream    string        `json:"stream,omitempty"`     // that the message is in
	Sequence  uint64        `json:"sequence,omitempty"`   // of the message in its stream
}

// Command tells where a command stands.
type Command struct {
	ID      string        `json:"command_id"`
	Command subjects.Kind `json:"command,omitempty"`
	State   string        `json:"state"` // a [subjects.Status] if it has ended, else one of the states of this package
	Text    string        `json:"text"`  // one line for people
}

// States of commands that have not ended.
const (
	StateScheduled = "scheduled" // its time has not come
	StateWaiting   = "waiting"   // no bridge has taken it yet
	StateTaken     = "taken"     // a bridge holds it and has not begun it
	StateClaimed   = "claimed"   // its call is made, or was when a bridge stopped
	StateForgotten = "forgotten" // it ended, and the ledger does not remember how
)

// Account is everything known of one id.
type Account struct {
	ID       string    `json:"id"`
	Is       []string  `json:"is"`       // command, message, event or conversation; it may be the id of several
	Commands []Command `json:"commands"` // that it is, or that made the message
	Entries  []Entry   `json:"entries"`  // in order of time
	Remarks  []string  `json:"remarks"`  // what else one should know
}

// Explainer answers questions.
type Explainer struct {
	js      jetstream.JetStream
	names   subjects.Names
	ledger  *ledger.Ledger
	letters *deadletter.Store
}

// New returns an explainer for the streams that names tell. It does no input or output.
func New(js jetstream.JetStream, names subjects.Names) *Explainer {
	return &Explainer{js: js, names: names, ledger: ledger.New(js, names, slog.New(slog.DiscardHandler)), letters: deadletter.NewStore(js, names)}
}

// Explain tells everything known of a command id, a message id or an event id. The error is [ErrUnknown] if that is nothing.
func (e *Explainer) Explain(ctx context.Context, id string) (Account, error) {
	g := newGathering(e, id)
	if err := g.run(ctx); err != nil {
		return Account{}, fmt.Errorf("explain %s: %w", id, err)
	}
	if len(g.entries) == 0 {
		return Account{}, fmt.Errorf("%s: %w", id, ErrUnknown)
	}
	commands, remarks, err := g.states(ctx)
	if err != nil {
		return Account{}, fmt.Errorf("explain %s: %w", id, err)
	}
	g.sort()
	return Account{ID: id, Is: g.is(), Commands: commands, Entries: g.entries, Remarks: remarks}, nil
}
