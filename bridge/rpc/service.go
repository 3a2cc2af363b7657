// Package rpc is the NATS micro service "cxbridge": the commands as request and reply, for callers who want to wait for a result instead of
// consuming results, and queries.
//
// A request is published as a command, like any other, and answered with the command's result. It is the caller who waits, not the command:
// a request that times out is answered with where its command stands, and the command is still carried out.
package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// serviceName is the name under which nats micro lists the service.
const serviceName = "cxbridge"

// maxRequests bounds the requests that wait at once; more are refused.
const maxRequests = 4096

// Codes of errors, in the header Nats-Service-Error-Code.
const (
	codeInvalid     = "400"
	codeUnknown     = "401"
	codeForbidden   = "403"
	codeNotFound    = "404"
	codeTooLarge    = "413"
	codeBusy        = "429"
	codeInternal    = "500"
	codeUnavailable = "503"
	codeTimeout     = "504"
)

// Query answers a request that is no command. Its error is told to the caller, and so must hold no secret. The code is 400 for [ErrRequest], 404
// for [NotFoundError], 401, 403, 404 or 429 if the API of CX refused it so (a [*cxapi.Error]), 504 if the time of the request is over, and 503 for
// all others.
type Query func(ctx context.Context, request []byte) (any, error)

// ErrRequest says that a request cannot be understood, so that nothing was done.
var ErrRequest = errors.New("request")

// NotFoundError says that there is no such thing as a request names.
type NotFoundError struct{ Err error }

// Error is that of the cause.
func (e *NotFoundError) Error() string { return e.Err.Error() }

// Unwrap is the cause.
func (e *NotFoundError) Unwrap() error { return e.Err }

// Deps are what the service stands on.
type Deps struct {
	Names     subjects.Names
	Tenant    string
	Conn      *nats.Conn
	JetStream jetstream.JetStream
	Queries   map[string]Query // by endpoint, such as "inbox.list"
	Version   string           // of the program, three numbers
	Log       *slog.Logger
}

// Service answers requests while it runs.
type Service struct {
	config  Config
	deps    Deps
	results *results
	slots   chan struct{}
	waiting sync.WaitGroup
}

// New returns a service that does nothing yet.
func New(config Config, deps Deps) *Service {
	return &Service{config: config, deps: deps, slots: make(chan struct{}, maxRequests), results: newResults(deps)}
}

// Run answers requests until ctx ends, and then waits for the requests in hand, whose wait ends with ctx, too.
func (s *Service) Run(ctx context.Context) error {
	defer s.waiting.Wait()
	service, err := micro.AddService(s.deps.Conn, micro.Config{
		Name: serviceName, Version: s.deps.Version, Description: "Commands to Sangoma CX, and queries",
		Metadata: map[string]string{"tenant": s.deps.Tenant, "prefix": s.deps.Names.Prefix()},
	})
	if err != nil {
		return fmt.Errorf("rpc: add service: %w", err)
	}
	defer func() { _ = service.Stop() }() // the connection may be closed already
	for _, kind := range subjects.Kinds() {
		handler := func(r micro.Request) {
			s.serve(ctx, r, func(ctx context.Context, r micro.Request) { s.command(ctx, kind, r) })
		}
		if err := s.add(service, string(kind), handler); err != nil {
			return err
		}
	}
	for endpoint, query := range s.deps.Queries {
		handler := func(r micro.Request) {
			s.serve(ctx, r, func(ctx context.Context, r micro.Request) { s.query(ctx, query, r) })
		}
		if err := s.add(service, endpoint, handler); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

func (s *Service) add(service micro.Service, endpoint string, handler micro.HandlerFunc) error {
	name := subjects.Token(endpointName(endpoint))
	if err := service.AddEndpoint(name, handler, micro.WithEndpointSubject(s.deps.Names.RPCSubject(endpoint))); err != nil {
		return fmt.Errorf("rpc: endpoint %s: %w", endpoint, err)
	}
	return nil
}

// endpointName makes a name as micro services have them out of an endpoint: message.send becomes message-send.
func endpointName(endpoint string) string {
	name := []byte(endpoint)
	for i := range name {
		if name[i] == '.' {
			name[i] = '-'
		}
	}
	return string(name)
}

// serve answers a request in a goroutine of its own, because the next one must not wait for it.
func (s *Service) serve(ctx context.Context, r micro.Request, answer func(context.Context, micro.Request)) {
	if s.ownSubject(r.Reply()) {
		s.deps.Log.Warn("rpc: a request was dropped, because its answer would be stored as an event, a result or a record", "subject", r.Subject(), "reply", r.Reply())
		return
	}
	select {
	case s.slots <- struct{}{}:
	default:
		s.fail(r, codeBusy, fmt.Sprintf("%d requests are waiting already", maxRequests))
		return
	}
	s.waiting.Go(func() {
		defer func() { <-s.slots }()
		answer(ctx, r)
	})
}

// ownSubject reports whether an answer on a subject would be more than an answer. The bridge may publish there, whoever asks may not, and
// nats-server does not look at the subject on which somebody wants to be answered.
func (s *Service) ownSubject(subject string) bool {
	prefix := s.deps.Names.Prefix() + "."
	return strings.HasPrefix(subject, prefix) || strings.HasPrefix(subject, "_"+prefix) || strings.HasPrefix(subject, "$")
}

func (s *Service) query(ctx context.Context, query Query, r micro.Request) {
	limit, err := s.limit(r)
	if err != nil {
		s.fail(r, codeInvalid, err.Error())
		return
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer, err := query(ctx, r.Data())
	if err != nil {
		s.fail(r, codeOf(ctx, err), err.Error())
		return
	}
	body, err := json.Marshal(answer)
	if err != nil {
		s.fail(r, codeInternal, err.Error())
		return
	}
	s.respond(r, body)
}

func codeOf(ctx context.Context, err error) string {
	var missing *NotFoundError
	refused := new(cxapi.Error)
	switch {
	case errors.Is(err, ErrRequest):
		return codeInvalid
	case errors.As(err, &missing):
		return codeNotFound
	case errors.As(err, &refused) && codeOfAPI(refused) != "":
		return codeOfAPI(refused)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return codeTimeout
	}
	return codeUnavailable
}

// codeOfAPI is the code for what the API, or its server of tokens, refused; empty if it did not refuse.
func codeOfAPI(e *cxapi.Error) string {
	var cause *cxapi.Error
	if e.Status == 0 && !errors.As(e.Err, &cause) {
		return ""
	}
	switch e.Kind {
	case cxapi.KindUnauthorized:
		return codeUnknown
	case cxapi.KindForbidden:
		return codeForbidden
	case cxapi.KindNotFound:
		return codeNotFound
	case cxapi.KindRateLimited:
		return codeBusy
	}
	return ""
}

// limit returns how long a request may wait: the header Cx-Timeout, else the configured time.
func (s *Service) limit(r micro.Request) (time.Duration, error) {
	text := r.Headers().Get(subjects.HeaderTimeout)
	if text == "" {
		return s.config.Timeout, nil
	}
	limit, err := time.ParseDuration(text)
	if err != nil || limit <= 0 || limit > time.Hour {
		return 0, fmt.Errorf("%s: must be a duration from 1ms to 1h such as 10s, not %q", subjects.HeaderTimeout, text)
	}
	return limit, nil
}

func (s *Service) respond(r micro.Request, body []byte, opts ...micro.RespondOpt) {
	if most := s.deps.Conn.MaxPayload(); int64(len(body)) > most {
		s.fail(r, codeTooLarge, fmt.Sprintf("the answer has %d bytes, and a message takes %d", len(body), most), opts...)
		return
	}
	s.send(r, &nats.Msg{Data: body}, opts)
}

func (s *Service) fail(r micro.Request, code, description string, opts ...micro.RespondOpt) {
	s.send(r, &nats.Msg{Header: nats.Header{micro.ErrorHeader: {description}, micro.ErrorCodeHeader: {code}}}, opts)
}

// send answers a request. The request's own methods keep what came of it for the library's figures, which are made when the handler has returned: before the
// answer, here, so that both would use it at once.
func (s *Service) send(r micro.Request, answer *nats.Msg, opts []micro.RespondOpt) {
	for _, opt := range opts {
		opt(answer)
	}
	answer.Subject = r.Reply()
	if err := s.deps.Conn.PublishMsg(answer); err != nil {
		s.deps.Log.Warn("rpc: answer not sent", "subject", r.Subject(), "error", err)
	}
}
