package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

const (
	busPatience       = 10 * time.Second       // for what one state asks of the bus, which may not answer: a request can get lost in a restart of the server
	rivalWait         = time.Minute            // for another copy of the command, whose end wakes this one
	invalidTermWait   = 200 * time.Millisecond // until the lease is renewed, or known to be lost
	conversationPause = 10 * time.Second       // when a conversation has its 200 messages of the minute
	conversationMost  = 10 * time.Minute       // then the limit is not what it says
)

// state is one step of a command's life. It returns the next one and how long to wait before. No next one means this one again, after the
// wait, or, without a wait, the end.
type state func(ctx context.Context) (wait time.Duration, next state)

// job carries out one command. Its lane runs it, one step at a time; see DESIGN.md for the states. Most jobs wait behind others of their lane,
// so it is small until it starts.
type job struct {
	shift *shift
	state state // nil until it starts

	seq     uint64
	parcel  parcel
	stored  int64 // when the stream stored it, in nanoseconds
	suspect bool  // an earlier term, or delivery, may have begun it

	begun    time.Duration // when it came here, since held was made
	touched  time.Duration // the same of the latest delivery, or when the server was told that the job lives; guarded by held, as the next
	delivery string        // subject to acknowledge the latest delivery on

	*progress // nil until the job starts
}

// progress is how far a job is that has started.
type progress struct {
	order
	lookedUp   bool // nobody but this job can have claimed the command since
	nonce      string
	claim      ledger.Claim
	after      uint64          // sequence of the ledger's record after which the claim is, or the next one is to be
	foreign    bool            // the claim is of an earlier life
	unrecorded bool            // a call was made that the ledger does not know the end of, or a claim is to be given back
	calling    bool            // the API call has begun and not returned
	ambiguous  bool            // an earlier call may have been carried out
	ended      *ledger.Outcome // how the command ends, while the ledger may not know it
	permit     permit
	backoff    *backoff.ExponentialBackOff
	spent      time.Duration // of the budget
	waited     time.Duration // for the conversation's limit
	searching  time.Time     // since when the echo has been looked for
	looks      int
	earlier    int // calls of earlier commands that may have caused the same event; -1 if not counted yet
	trouble    trouble
	claiming   trouble
	story      *story

	conversation, message, contact subjects.ID
	contactSought                  bool
	fromDirectory                  bool            // the contact was found there
	stale                          subjects.ID     // what was found there, and the API does not know, as it seems
	missed                         *missed         // how the command ends if that was not what the API does not know
	taken                          *verdict        // the API says that the contact exists: how the command ends if it is not found
	response                       json.RawMessage // to the call that httpStatus is of
	httpStatus                     int
	attempts                       int
	history                        []subjects.Attempt
	print                          string
	stands                         *ledger.Outcome // set when the command has ended
	found                          bool            // it had ended before this job looked it up
	clash                          bool            // the id was used before, for a command of another kind
}

// submit makes a job of a delivery, unless it is held already.
func (s *shift) submit(m delivered, meta *jetstream.MsgMetadata, suspect bool) {
	now := time.Since(s.held.since)
	j := &job{shift: s, seq: meta.Sequence.Stream, stored: meta.Timestamp.UnixNano(), begun: now, suspect: suspect, touched: now}
	j.parcel, j.delivery = pack(m)
	if !s.held.add(j) {
		return
	}
	o := s.reader.read(m.Subject(), j.parcel.Header(), m.Data(), j.seq)
	s.lanes.Submit(o.key, j.step)
}

// published is when the stream stored the job's message.
func (j *job) published() time.Time { return time.Unix(0, j.stored) }

// arrived is when the job's message came here.
func (j *job) arrived() time.Time { return j.shift.held.since.Add(j.begun) }

// step runs states until one has to wait. When the bridge is stopping the lanes drop who waits, so a job that holds something the ledger has
// yet to learn waits here.
func (j *job) step(ctx context.Context) (time.Duration, bool) {
	if j.state == nil {
		j.state = j.start
	}
	for {
		wait, next := j.state(j.shift.patience.Of(ctx))
		switch {
		case next == nil && wait <= 0:
			return 0, true
		case next != nil:
			j.state, j.trouble = next, trouble{}
			if wait <= 0 {
				continue
			}
		}
		if !j.unrecorded || j.shift.soft.Err() == nil {
			return wait, false
		}
		if pause(ctx, wait); ctx.Err() != nil {
			return wait, false
		}
	}
}

// fault is how a state ends that the bus has let down: the same again after a pause, for ever, as nothing may be left out. Only the end of
// the term is final.
func (j *job) fault(err error) (time.Duration, state) {
	if errors.Is(err, ledger.ErrFenced) {
		j.shift.finish(fmt.Errorf("%w: %w", ErrTermOver, err))
		return time.Minute, nil
	}
	j.shift.complain("commands wait for the bus", err)
	if j.progress != nil && j.trouble.failures == 0 {
		j.story.tell("wait for the bus")
	}
	return j.trouble.next(), nil
}

func (j *job) start(context.Context) (time.Duration, state) {
	if j.progress == nil {
		j.progress = newProgress(j.shift.reader.read(j.parcel.Subject(), j.parcel.Header(), j.parcel.Body(), j.seq), j.parcel)
		j.story = j.shift.story(j)
	}
	if !j.shift.held.own(j) {
		return rivalWait, nil
	}
	if j.suspect {
		return 0, j.lookUp
	}
	return 0, j.ready
}

// newProgress begins with the order as it was read once more: to keep it from the submission on would double what a waiting job holds.
func newProgress(o order, from parcel) *progress {
	p := &progress{order: o, permit: permit{key: o.key}, conversation: o.command.ConversationID()}
	if p.conversation.IsZero() && o.invalid != "" {
		p.conversation = subjects.ConversationIn(from.Body())
	}
	if o.command.Start != nil {
		p.contact = o.command.Start.ContactID
	}
	return p
}

// lookUp asks the ledger what became of the command before.
func (j *job) lookUp(ctx context.Context) (time.Duration, state) {
	record, err := j.shift.ledger.Find(ctx, j.id)
	if errors.Is(err, ledger.ErrUnreadable) {
		return 0, j.illegible(err)
	}
	if err != nil {
		return j.fault(err)
	}
	j.lookedUp = true
	switch {
	case record.Kind != "" && record.Kind != j.kind:
		return 0, j.misused(record.Kind)
	case record.Outcome != nil:
		j.found = true
		j.shift.metrics.repeats.Inc()
		return 0, j.answer(record.Outcome)
	case record.Claim != nil:
		j.goOn(record.Progress)
		return 0, j.interrupted(*record.Claim)
	case record.Released > 0:
		j.goOn(record.Progress)
		j.after = record.Released
	}
	return 0, j.ready
}

// answer goes on with an outcome that stands in the ledger.
func (j *job) answer(stands *ledger.Outcome) state {
	stands.Result.CommandID = j.id // JSON does not keep every id as it is
	j.stands, j.ended, j.unrecorded = stands, nil, false
	return j.buried
}

// ready is where each attempt begins: may the command still be carried out, and may a call be made now?
func (j *job) ready(ctx context.Context) (time.Duration, state) {
	v, err := j.hindered(ctx)
	if err != nil {
		j.shift.gate.leave(&j.permit)
		return j.fault(err)
	}
	if v != nil {
		j.shift.gate.leave(&j.permit)
		if !j.lookedUp {
			return 0, j.lookUp // it may have been carried out before
		}
		return 0, j.conclude(*v)
	}
	if next, err := j.findContact(ctx); err != nil || next != nil {
		j.shift.gate.leave(&j.permit)
		if err != nil {
			return j.fault(err)
		}
		return 0, next
	}
	granted := j.shift.gate.enter(&j.permit)
	j.story.waiting(!granted)
	if !granted {
		return j.untilExpiry(lookAgain), nil
	}
	return 0, j.take
}

// hindered tells why the command must not be carried out, if so.
func (j *job) hindered(ctx context.Context) (*verdict, error) {
	if j.invalid != "" {
		return &verdict{subjects.StatusInvalid, j.invalid, j.detail}, nil
	}
	if j.expired() {
		return j.expiry(), nil
	}
	if v := j.forgotten(); v != nil {
		return v, nil
	}
	why, err := j.precondition(ctx)
	if err != nil || why == "" {
		return nil, err
	}
	return &verdict{subjects.StatusExpired, subjects.ReasonExpired, why}, nil
}

func (j *job) expired() bool { return !j.expires.IsZero() && !time.Now().Before(j.expires) }

func (j *job) expiry() *verdict {
	return &verdict{subjects.StatusExpired, subjects.ReasonExpired, fmt.Sprintf("%s: %s has passed", subjects.HeaderExpiresAt, j.parcel.Header().Get(subjects.HeaderExpiresAt))}
}

// untilExpiry shortens a wait so that the command ends when it expires.
func (j *job) untilExpiry(wait time.Duration) time.Duration {
	if j.expires.IsZero() {
		return wait
	}
	return max(min(wait, time.Until(j.expires)), time.Millisecond)
}

// take claims the command. What stands between the claim and the call asks nobody, and waits only while as many calls are made as may be at
// once, so that little time passes.
func (j *job) take(ctx context.Context) (time.Duration, state) {
	need := j.shift.cfg.need()
	if j.shift.soft.Err() != nil || !j.shift.term.Valid(need) {
		j.shift.gate.leave(&j.permit)
		return invalidTermWait, j.ready
	}
	if j.nonce == "" {
		j.nonce = newNonce()
	}
	claim, err := j.shift.epoch.Claim(ctx, j.toClaim())
	var taken *ledger.ClaimedError
	if err != nil {
		j.shift.gate.leave(&j.permit)
		if errors.As(err, &taken) || errors.Is(err, ledger.ErrUnreadable) && !errors.Is(err, ledger.ErrFenced) {
			return 0, j.lookUp
		}
		j.trouble = j.claiming
		wait, _ := j.fault(err)
		j.claiming = j.trouble
		return wait, j.ready
	}
	j.claiming.over()
	j.claim, j.foreign, j.lookedUp, j.unrecorded = claim, false, true, true
	if !j.shift.gate.seize(ctx, &j.permit) {
		j.shift.gate.leave(&j.permit)
		return 0, j.release(0)
	}
	if !j.shift.term.Valid(need) {
		j.shift.gate.leave(&j.permit)
		return 0, j.release(invalidTermWait)
	}
	if j.shift.gate.closed() {
		j.shift.gate.leave(&j.permit)
		return 0, j.release(0)
	}
	if j.expired() {
		j.shift.gate.leave(&j.permit)
		return 0, j.conclude(*j.expiry())
	}
	return 0, j.call
}

func (j *job) toClaim() ledger.Claim {
	c := ledger.Claim{CommandID: j.id, Nonce: j.nonce, Kind: j.kind, Key: j.key, Fingerprint: j.fingerprint(), Attempts: j.attempts, After: j.after}
	if j.command.Message != nil {
		c.MessageType = j.command.Message.MessageType
	}
	return c
}

func (j *job) fingerprint() string {
	if j.print == "" && j.command.Message != nil {
		j.print = ledger.Fingerprint(j.command.Message.Content)
	}
	return j.print
}
