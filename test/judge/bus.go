package judge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Most is how many messages of a stream are judged. Of more, as many are picked, evenly over the stream.
const Most = 2000

// Verdict is what was found on a bus.
type Verdict struct {
	Judged map[string]int // messages by stream
	Faults []error        // each names subject, sequence and rule
}

// bus is one bus that is judged.
type bus struct {
	*Judge
	js      jetstream.JetStream
	verdict Verdict
	letters []*jetstream.RawStreamMsg // read when they are needed
}

// Bus judges what the streams hold. Streams that do not exist yet hold nothing. The error is that of reading.
func (j *Judge) Bus(ctx context.Context, js jetstream.JetStream) (Verdict, error) {
	b := &bus{Judge: j, js: js, verdict: Verdict{Judged: map[string]int{}}}
	for stream, judge := range map[string]func(context.Context, *jetstream.RawStreamMsg) error{
		j.names.EventsStream():   func(_ context.Context, m *jetstream.RawStreamMsg) error { return j.Event(m.Subject, m.Header, m.Data) },
		j.names.CommandsStream(): b.command,
		j.names.ResultsStream():  func(_ context.Context, m *jetstream.RawStreamMsg) error { return j.Result(m.Subject, m.Header, m.Data) },
		j.names.DeadStream():     func(_ context.Context, m *jetstream.RawStreamMsg) error { return j.Letter(m.Subject, m.Header) },
	} {
		if err := b.stream(ctx, stream, judge); err != nil {
			return b.verdict, fmt.Errorf("%s: %w", stream, err)
		}
	}
	return b.verdict, nil
}

func (b *bus) stream(ctx context.Context, name string, judge func(context.Context, *jetstream.RawStreamMsg) error) error {
	all, err := b.read(ctx, name, Most)
	if err != nil {
		return err
	}
	for _, m := range all {
		if err := judge(ctx, m); errors.As(err, new(*reading)) {
			return err
		} else if err != nil {
			b.verdict.Faults = append(b.verdict.Faults, fmt.Errorf("%s, sequence %d of %s: %w", m.Subject, m.Sequence, name, err))
		}
	}
	b.verdict.Judged[name] = len(all)
	return nil
}

// read returns the messages of a stream, at most so many, evenly picked.
func (b *bus) read(ctx context.Context, name string, most uint64) ([]*jetstream.RawStreamMsg, error) {
	s, err := b.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	state := s.CachedInfo().State
	if state.Msgs == 0 {
		return nil, nil
	}
	var all []*jetstream.RawStreamMsg
	step := (state.LastSeq-state.FirstSeq)/most + 1
	for seq := state.FirstSeq; seq <= state.LastSeq; seq += step {
		m, err := s.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", seq, err)
		}
		all = append(all, m)
	}
	return all, nil
}

// reading is an error that says nothing of a message.
type reading struct{ error }

func (r *reading) Unwrap() error { return r.error }

// command judges a command by what became of it: one that the contract does not allow must have ended as invalid, and be kept. One that has
// not ended yet is not judged any further.
func (b *bus) command(ctx context.Context, m *jetstream.RawStreamMsg) error {
	kind, _, ok := b.names.ParseCommand(m.Subject)
	if !ok {
		return b.Scheduled(m.Header)
	}
	wrong := b.Command(kind, m.Header, m.Data)
	if wrong == nil {
		return nil
	}
	id := m.Header.Get(subjects.HeaderMsgID)
	if id == "" {
		id = m.Header.Get(subjects.HeaderCEID)
	}
	if id != "" {
		status, err := b.ended(ctx, kind, id)
		if err != nil {
			return err
		}
		if status == "" {
			return nil
		}
		if status != subjects.StatusInvalid {
			return fmt.Errorf("the command is not allowed, and yet ended as %s: %w", status, wrong)
		}
	}
	return b.kept(ctx, id, m, wrong)
}

// ended returns the status of a command's result, empty if there is none yet.
func (b *bus) ended(ctx context.Context, kind subjects.Kind, id string) (subjects.Status, error) {
	s, err := b.js.Stream(ctx, b.names.ResultsStream())
	if err != nil {
		return "", &reading{err}
	}
	m, err := s.GetLastMsgForSubject(ctx, b.names.Result(kind, id))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return "", nil
	}
	if err != nil {
		return "", &reading{err}
	}
	return subjects.Status(m.Header.Get(subjects.HeaderStatus)), nil
}

// kept wants a dead letter of a command.
func (b *bus) kept(ctx context.Context, id string, m *jetstream.RawStreamMsg, wrong error) error {
	if b.letters == nil {
		all, err := b.read(ctx, b.names.DeadStream(), 1<<20)
		if err != nil {
			return &reading{err}
		}
		b.letters = all
	}
	if !slices.ContainsFunc(b.letters, func(l *jetstream.RawStreamMsg) bool {
		return id != "" && l.Header.Get(subjects.HeaderCommandID) == id || id == "" && string(l.Data) == string(m.Data)
	}) {
		return fmt.Errorf("the command is not allowed, and yet has no dead letter: %w", wrong)
	}
	return nil
}

// agree wants a result to say the same in its subject, its headers and its body.
func (j *Judge) agree(subject string, header map[string][]string, body []byte) error {
	var r subjects.Result
	if err := json.Unmarshal(body, &r); err != nil {
		return fmt.Errorf("body: %w", err)
	}
	first := func(name string) string {
		if len(header[name]) == 0 {
			return ""
		}
		return header[name][0]
	}
	if first(subjects.HeaderCommandID) != r.CommandID || first(subjects.HeaderStatus) != string(r.Status) || subject != j.names.Result(r.Command, r.CommandID) {
		return fmt.Errorf("subject, headers and body do not agree: %s %s %s", first(subjects.HeaderCommandID), first(subjects.HeaderStatus), body)
	}
	if (r.Status == subjects.StatusDone) != (r.Reason == subjects.ReasonNone) {
		return fmt.Errorf("status %s with reason %q", r.Status, r.Reason)
	}
	return nil
}
