// Package ledger remembers which commands were begun and how they ended, in one JetStream stream, so that a command is never carried out
// twice: not by a redelivery, not after a crash, not by a bridge that does not know yet that it is no longer the active one.
//
// A command is claimed before the call that carries it out and settled after it; both are single publishes that the server refuses when the
// command was claimed before, or when a later [Epoch] has begun. DESIGN.md beside this file tells why that is enough.
package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/bound"
	"github.com/cxbridge/cxbridge/subjects"
)

// Errors of claims and outcomes. Any other error of [Epoch.Claim], [Epoch.Release] and [Epoch.Settle] means that it is not known whether
// the server stored the record: call again with the same arguments.
var (
	// ErrFenced says that another epoch has begun. Its holder carries out commands now; whoever gets this error must stop.
	ErrFenced = errors.New("another epoch has begun")
	// ErrFull says that the ledger stream has reached a limit and refuses records. Nothing was stored.
	ErrFull = errors.New("the ledger stream is full")
	// ErrNotFound says that a record is not in the ledger, or no longer.
	ErrNotFound = errors.New("not in the ledger")
	// ErrUnreadable says that a record cannot be read: somebody else wrote it, or a later version of the bridge. It will not become readable.
	ErrUnreadable = errors.New("cannot read ledger record")
)

// ClaimedError says that a command was claimed before, by another bridge or by a former life of this one. Whether it was carried out
// under that claim is told by [Ledger.Find]: an outcome tells how it ended; without an outcome it is not known.
type ClaimedError struct{ Claim Claim }

func (e *ClaimedError) Error() string {
	return fmt.Sprintf("command %s was claimed before, in epoch %d", e.Claim.CommandID, e.Claim.Epoch)
}

// Claim is the right to carry out a command.
type Claim struct {
	CommandID   string
	Nonce       string // made by the caller for its handling of the command, the same for each try; tells its own claims from those of others
	Epoch       uint64 // set by [Epoch.Claim]
	Kind        subjects.Kind
	Key         string // order key, see [subjects.Command.OrderKey]
	MessageType string // of a message that the command posts
	Fingerprint string // of a message that the command posts, see [Fingerprint]
	Attempts    int    // calls made at the API before this claim
	After       uint64 // sequence of the record that gave the former claim of the command back; 0 for its first claim

	Seq uint64    // sequence in the ledger stream, set by [Epoch.Claim]
	At  time.Time // when the server stored it; zero if not known yet, see [Ledger.ClaimedAt]
}

// Outcome is how a command ended: all that is needed to publish its result and its dead letter again.
type Outcome struct {
	Result      subjects.Result
	Key         string // order key, see [subjects.Command.OrderKey]
	ReplyTo     string // subject on which the result is published, too
	DeadLetter  bool
	History     []subjects.Attempt
	MessageID   string // of the message that the command posted
	Fingerprint string // of the message that the command posted
	After       uint64 // as that of a claim, if the command ends without holding one

	Seq uint64    // sequence in the ledger stream, set by the ledger
	At  time.Time // when the server stored it; zero right after it was settled

	encoded json.RawMessage // Result, since it was first asked for
}

// ResultJSON returns the result as JSON. It is encoded at the first call, or when the outcome is settled; of what is changed in it
// afterwards only [Outcome.DropResponse] is seen.
func (o *Outcome) ResultJSON() ([]byte, error) {
	if o.encoded == nil {
		body, err := json.Marshal(o.Result)
		if err != nil {
			return nil, fmt.Errorf("encode result of command %s: %w", o.Result.CommandID, err)
		}
		o.encoded = body
	}
	return o.encoded, nil
}

// DropResponse leaves the response of the API out of the result.
func (o *Outcome) DropResponse() { o.Result.Response, o.encoded = nil, nil }

// Progress is how far a command is whose claim was given back: what its next attempt, perhaps by another bridge, has to know.
type Progress struct {
	Attempts int                // calls made at the API
	Unsure   bool               // one of them may have been carried out
	Spent    time.Duration      // of the command's budget
	History  []subjects.Attempt // the last of the calls
}

// Record is all that the ledger knows of a command.
type Record struct {
	Kind     subjects.Kind // of the command that the id was used for first; empty if it is not known
	Claim    *Claim        // nil if the command is not claimed
	Outcome  *Outcome      // nil if the command has not ended
	Released uint64        // sequence of the record that gave the last claim back, for the next claim; 0 if that claim is open, or there was none
	Progress Progress      // when the last claim that was given back was
}

// Publisher stores messages; a [jetstream.JetStream] is one. It need not take options, and must not hold anything of the message when it has returned.
type Publisher interface {
	PublishMsg(ctx context.Context, message *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error)
}

// Ledger reads the ledger stream. Writing needs an [Epoch].
type Ledger struct {
	js     jetstream.JetStream
	writer Publisher
	names  subjects.Names
	stream string
	log    *slog.Logger
	recent *recent
	made   *made
	tries  int
	own    atomic.Pointer[Epoch] // the latest that was begun here, until another one is seen

	attempts   *bound.Bounds
	conditions sync.Pool
}

// New returns the ledger in the stream that names tell, which writes by means of js. It does no input or output.
func New(js jetstream.JetStream, names subjects.Names, log *slog.Logger) *Ledger {
	return NewWith(js, js, names, log)
}

// NewWith is [New] with another way to write to the stream.
func NewWith(js jetstream.JetStream, writer Publisher, names subjects.Names, log *slog.Logger) *Ledger {
	l := &Ledger{js: js, writer: writer, names: names, stream: names.LedgerStream(), log: log, recent: newRecent(time.Now), tries: tries, attempts: bound.New(attemptTime), conditions: sync.Pool{New: newConditions}}
	l.made = newMade(l)
	return l
}

func (l *Ledger) claimSubject(commandID string) string {
	return l.names.Ledger("claim", subjects.Token(commandID))
}

// after returns the subject of the one record that can follow a record of a command's chain.
func (l *Ledger) after(commandID string, seq uint64) string {
	if seq == 0 {
		return l.claimSubject(commandID)
	}
	return l.names.Ledger("claim", subjects.Token(commandID), strconv.FormatUint(seq, 10))
}

func (l *Ledger) doneSubject(commandID string) string {
	return l.names.Ledger("done", subjects.Token(commandID))
}
