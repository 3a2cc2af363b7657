package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
	"github.com/nats-io/nuid"

	"github.com/cxbridge/cxbridge/subjects"
)

// storeAttempt is the time that one attempt at storing a command may take.
const storeAttempt = 2 * time.Second

// command publishes a request as a command and answers it with the result.
func (s *Service) command(ctx context.Context, kind subjects.Kind, r micro.Request) {
	limit, err := s.limit(r)
	if err != nil {
		s.fail(r, codeInvalid, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	msg := s.message(kind, r)
	id := msg.Header.Get(subjects.HeaderMsgID)
	about := micro.WithHeaders(micro.Headers{subjects.HeaderCommandID: {id}})
	subject := s.deps.Names.Result(kind, id)

	result, forget, err := s.results.await(subject)
	if err != nil {
		s.fail(r, codeUnavailable, fmt.Sprintf("command %s: not published: %v; ask again", id, err), about)
		return
	}
	defer forget()
	stored, err := s.store(ctx, msg)
	if err != nil {
		s.fail(r, codeUnavailable, fmt.Sprintf("command %s: not known to be stored: %v; publish it again with the same Nats-Msg-Id", id, err), about)
		return
	}
	if former := s.former(ctx, stored); former != "" && former != kind {
		s.fail(r, codeInvalid, fmt.Sprintf("command %s: not stored: the id was used before, for a command %s; a command needs an id of its own", id, former), about)
		return
	}
	body, err := s.results.get(ctx, subject, result, stored.Duplicate)
	if err != nil {
		s.fail(r, codeTimeout, fmt.Sprintf("command %s is stored (%s, sequence %d) and will still be carried out; its result will be on %s",
			id, stored.Stream, stored.Sequence, subject), about)
		return
	}
	s.respond(r, body, about)
}

// former is the kind of the command that the bus has stored before with the same id; empty if there is none, or if it is not known. Then the
// request waits for the result.
func (s *Service) former(ctx context.Context, stored *jetstream.PubAck) subjects.Kind {
	if !stored.Duplicate {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, storeAttempt)
	defer cancel()
	stream, err := s.deps.JetStream.Stream(ctx, stored.Stream)
	if err != nil {
		return ""
	}
	first, err := stream.GetMsg(ctx, stored.Sequence)
	if err != nil {
		return ""
	}
	kind, _, _ := s.deps.Names.ParseCommand(first.Subject)
	return kind
}

// message makes a command out of a request. Headers of NATS are not copied but for the command id, which is made here if the caller gave none.
func (s *Service) message(kind subjects.Kind, r micro.Request) *nats.Msg {
	msg := nats.NewMsg(s.deps.Names.Command(kind))
	msg.Data = r.Data()
	for name, values := range r.Headers() {
		if !subjects.OwnedByNATS(name) && name != subjects.HeaderTimeout {
			msg.Header[name] = values
		}
	}
	id := r.Headers().Get(subjects.HeaderMsgID)
	if id == "" {
		id = r.Headers().Get(subjects.HeaderCEID)
	}
	if id == "" {
		id = nuid.Next()
	}
	msg.Header.Set(subjects.HeaderMsgID, id)
	return msg
}

// store publishes a command until the bus has acknowledged it. Because every attempt has the same id, the command is stored once.
func (s *Service) store(ctx context.Context, msg *nats.Msg) (*jetstream.PubAck, error) {
	for {
		attempt, cancel := context.WithTimeout(ctx, storeAttempt)
		ack, err := s.deps.JetStream.PublishMsg(attempt, msg)
		cancel()
		var refused *jetstream.APIError
		if err == nil {
			return ack, nil
		}
		if ctx.Err() != nil || errors.As(err, &refused) && refused.Code < 500 || errors.Is(err, nats.ErrMaxPayload) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
