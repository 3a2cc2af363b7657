package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/subjects"
)

const (
	codeWrongSequence   jetstream.ErrorCode = 10071
	codeWrongSequenceR3 jetstream.ErrorCode = 10164
	codeTooLarge        jetstream.ErrorCode = 10054
)

// conclude ends the command: the outcome into the ledger, the dead letter, the result, the reply, and the acknowledgement last. Each is
// tried until it works, and the next one comes only then.
func (j *job) conclude(v verdict) state {
	return j.settle(j.outcome(j.honest(v)))
}

// honest keeps from saying that a command was not carried out after a call of it whose answer was lost.
func (j *job) honest(v verdict) verdict {
	switch v.status {
	case subjects.StatusRefused, subjects.StatusExhausted, subjects.StatusExpired:
		if j.mayBeDone() {
			return verdict{subjects.StatusUnknown, subjects.ReasonOutcomeUnknown, "an earlier call may have been carried out; after it: " + v.detail}
		}
	}
	return v
}

// mayBeDone reports whether a call may have been carried out whose answer was lost. That for the contact of a conversation does not count.
func (j *job) mayBeDone() bool {
	if j.kind != subjects.ConversationStart || len(j.history) >= maxHistory {
		return j.ambiguous
	}
	return j.ambiguous && slices.ContainsFunc(j.history, func(a subjects.Attempt) bool {
		return a.Reason == subjects.ReasonOutcomeUnknown && !strings.HasPrefix(a.Detail, ofContact)
	})
}

func (j *job) settle(o *ledger.Outcome) state {
	j.ended = o
	return func(ctx context.Context) (time.Duration, state) {
		stands, err := j.shift.epoch.Settle(ctx, o)
		if errors.Is(err, ledger.ErrUnreadable) && !errors.Is(err, ledger.ErrFenced) {
			return 0, j.illegible(err)
		}
		if err != nil {
			return j.fault(err)
		}
		return 0, j.answer(stands)
	}
}

// buried puts the dead letter. One whose result is published was put before: perhaps so long ago that the stream has forgotten its message id,
// and perhaps an operator has dealt with it.
func (j *job) buried(ctx context.Context) (time.Duration, state) {
	if !j.stands.DeadLetter || !j.original() {
		return 0, j.announced
	}
	if j.found {
		published, err := j.shift.published(ctx, j.shift.names.Result(j.stands.Result.Command, j.stands.Result.CommandID))
		if err != nil {
			return j.fault(err)
		}
		if published {
			return 0, j.announced
		}
	}
	if err := deadletter.Put(ctx, j.shift.js, j.shift.names, j.letter()); err != nil {
		return j.fault(err)
	}
	return 0, j.announced
}

// original reports whether the outcome that stands is that of this very message, and not of an earlier one with the same command id.
func (j *job) original() bool {
	return j.stands.Result.ReceivedAt.Truncate(time.Millisecond).Equal(j.published().Truncate(time.Millisecond))
}

// announced publishes the result. The stream takes one message on the subject, so that there is one result.
func (j *job) announced(ctx context.Context) (time.Duration, state) {
	subject := j.shift.names.Result(j.stands.Result.Command, j.stands.Result.CommandID)
	e := j.shift.envelopes.Get().(*envelope)
	defer j.shift.envelopes.Put(e)
	m, err := j.resultMessage(subject, e)
	if err == nil {
		span := j.story.publish(m)
		err = j.shift.publishOnce(ctx, m)
		published(span, err)
	}
	if (errors.Is(err, nats.ErrMaxPayload) || hasCode(err, codeTooLarge)) && j.stands.Result.Response != nil {
		j.stands.DropResponse()
		return 0, j.announced
	}
	if err != nil {
		return j.fault(err)
	}
	return 0, j.replied
}

func (s *shift) publishOnce(ctx context.Context, m *nats.Msg) error {
	m.Header[jetstream.ExpectedStreamHeader] = []string{s.names.ResultsStream()}
	m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{"0"}
	_, err := s.writer.PublishMsg(ctx, m)
	if !hasCode(err, codeWrongSequence) && !hasCode(err, codeWrongSequenceR3) {
		return err
	}
	published, failure := s.published(ctx, m.Subject)
	if failure != nil {
		return failure
	}
	if !published {
		return err
	}
	return nil
}

func hasCode(err error, code jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == code
}

// published reports whether the results stream has a result on a subject.
func (s *shift) published(ctx context.Context, subject string) (bool, error) {
	stream, err := s.js.Stream(ctx, s.names.ResultsStream())
	if err != nil {
		return false, fmt.Errorf("look for result: %w", err)
	}
	_, err = stream.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for result: %w", err)
	}
	return true, nil
}

// replied publishes the result where the command asked for it. Nobody may be there to take it; the stream has it.
func (j *job) replied(context.Context) (time.Duration, state) {
	if j.replyTo == "" {
		return 0, j.acknowledged
	}
	m, err := j.resultMessage(j.replyTo, newEnvelope())
	if err == nil {
		j.story.reply(m)
		err = j.shift.conn.PublishMsg(m)
	}
	if err != nil {
		return j.fault(err)
	}
	return 0, j.acknowledged
}

// acknowledged lets the message go. If that gets lost, the message comes again and is answered from the ledger.
func (j *job) acknowledged(context.Context) (time.Duration, state) {
	r, answer := j.stands.Result, answerDone
	if j.stands.DeadLetter {
		answer = answerTerm + string(r.Reason)
	}
	if err := j.shift.conn.Publish(j.shift.held.delivery(j), []byte(answer)); err != nil {
		return j.fault(err)
	}
	for _, key := range j.shift.held.remove(j) {
		j.shift.lanes.Wake(key)
	}
	j.shift.metrics.settled(j)
	j.story.end(&r)
	j.tell(&r)
	return 0, nil
}
