package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// attemptTime bounds one request to the server; whoever waits longer asks again. After so many tries the caller is told of the failure.
const (
	attemptTime = 2 * time.Second
	tries       = 4
)

// codeStoreFailed is the server's answer to a publish that breaks a limit of the stream.
const codeStoreFailed jetstream.ErrorCode = 10077

// stored is a message as the stream's leader has it.
type stored struct {
	Subject  string    `json:"subject"`
	Sequence uint64    `json:"seq"`
	Data     []byte    `json:"data"`
	Time     time.Time `json:"time"`
}

// query is a request for one message: by sequence, or the last one of a subject.
type query struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
}

// get reads a message from the stream's leader. The client library reads from whichever replica answers as soon as the stream allows that, and a
// replica may lag behind; what decides whether a command is carried out must not. It returns nil if there is no such message.
func (l *Ledger) get(ctx context.Context, q query) (*stored, error) {
	var answer struct {
		Message *stored `json:"message"`
	}
	err := l.request(ctx, "STREAM.MSG.GET."+l.stream, q, &answer)
	switch {
	case hasCode(err, jetstream.JSErrCodeMessageNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case answer.Message == nil:
		return nil, jetstream.ErrInvalidJetStreamResponse
	}
	return answer.Message, nil
}

// purge removes the messages of a subject up to and including a sequence.
func (l *Ledger) purge(ctx context.Context, subject string, seq uint64) error {
	return l.request(ctx, "STREAM.PURGE."+l.stream, jetstream.StreamPurgeRequest{Subject: subject, Sequence: seq + 1}, nil)
}

// request asks the JetStream API. Its errors are a [*jetstream.APIError] if the server answered.
func (l *Ledger) request(ctx context.Context, operation string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTime)
	defer cancel()
	reply, err := l.js.Conn().RequestWithContext(ctx, APISubject(l.js, operation), body)
	if err != nil {
		return err
	}
	var outcome struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &outcome); err != nil {
		return fmt.Errorf("answer of the server: %w", err)
	}
	if outcome.Error != nil {
		return outcome.Error
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(reply.Data, answer)
}

// last reads the last message of a subject from the stream's leader, and asks again while the server does not answer.
func (l *Ledger) last(ctx context.Context, subject string) (*stored, error) {
	var found *stored
	err := l.patiently(ctx, func() (err error) {
		found, err = l.get(ctx, query{LastFor: subject})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", subject, err)
	}
	return found, nil
}

// patiently repeats a request that changes nothing when it is repeated, as long as its failure may pass.
func (l *Ledger) patiently(ctx context.Context, request func() error) error {
	var wait pause
	for try := 1; ; try++ {
		err := request()
		if err == nil || try >= l.tries || !passes(ctx, err) {
			return err
		}
		if err := wait.wait(ctx); err != nil {
			return err
		}
	}
}

// APISubject is where a JetStream that may be in a domain, or behind a prefix, takes requests of an operation, such as STREAM.MSG.GET.<stream>.
func APISubject(js jetstream.JetStream, operation string) string {
	options := js.Options()
	switch {
	case options.Domain != "":
		return "$JS." + options.Domain + ".API." + operation
	case options.APIPrefix != "":
		return strings.TrimSuffix(options.APIPrefix, ".") + "." + operation
	}
	return jetstream.DefaultAPIPrefix + operation
}

// passes reports whether a failure may pass by itself: the server or the stream's leader is away, or did not answer in time.
func passes(ctx context.Context, err error) bool {
	for _, lasting := range []error{ErrFenced, ErrFull, ErrUnreadable, nats.ErrConnectionClosed, nats.ErrMaxPayload} {
		if errors.Is(err, lasting) {
			return false
		}
	}
	var taken *takenError
	if ctx.Err() != nil || errors.As(err, &taken) {
		return false
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api.Code >= 500
	}
	return true
}

func hasCode(err error, codes ...jetstream.ErrorCode) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	for _, code := range codes {
		if api.ErrorCode == code {
			return true
		}
	}
	return false
}

// wrongSequence reports whether the condition of a publish did not hold, or could not be checked beside another one that was under way.
func wrongSequence(err error) bool {
	return hasCode(err, jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// publish stores a record, on the condition that the last message on a subject has a sequence, or that there is none, if that is 0.
func (l *Ledger) publish(ctx context.Context, message *nats.Msg, on string, last uint64) (*jetstream.PubAck, error) {
	c := l.conditions.Get().(*conditions)
	defer l.conditions.Put(c)
	return l.writer.PublishMsg(l.attempts.Of(ctx), &nats.Msg{Subject: message.Subject, Header: c.header(message, l.stream, on, last), Data: message.Data})
}

// conditions are the headers of a publish. They are used again, as a map for each would be a quarter of what a claim allocates.
type conditions struct {
	all    nats.Header
	values [3]string
}

func newConditions() any { return &conditions{all: make(nats.Header)} }

// header returns the headers of a message and the conditions, until the next call.
func (c *conditions) header(message *nats.Msg, stream, on string, last uint64) nats.Header {
	clear(c.all)
	maps.Copy(c.all, message.Header)
	c.values = [...]string{stream, strconv.FormatUint(last, 10), on}
	c.all[jetstream.ExpectedStreamHeader] = c.values[0:1:1]
	c.all[jetstream.ExpectedLastSubjSeqHeader] = c.values[1:2:2]
	if on != message.Subject {
		c.all[jetstream.ExpectedLastSubjSeqSubjHeader] = c.values[2:3:3]
	}
	return c.all
}

// refused finds out what error 10077 means: a takenError if the subject has a message, nil if it is about to have one, so that the publish is
// worth repeating, or [ErrFull].
func (l *Ledger) refused(ctx context.Context, subject string, refusal error) error {
	found, err := l.last(ctx, subject)
	switch {
	case err != nil:
		return err
	case found != nil:
		return &takenError{found}
	case strings.Contains(refusal.Error(), "per subject"):
		return nil
	}
	return fmt.Errorf("%w: %w", ErrFull, refusal)
}
