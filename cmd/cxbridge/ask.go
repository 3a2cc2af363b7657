package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// Queries of the micro service.
const (
	queryStatus  = "bridge.status"
	queryPause   = "bridge.pause"
	queryResume  = "bridge.resume"
	queryExplain = "bridge.explain"
	queryList    = "bridge.dead.list"
	queryShow    = "bridge.dead.show"
	queryReplay  = "bridge.dead.replay"
	queryDrop    = "bridge.dead.drop"
)

// acts reports whether a query may change something.
func acts(query string) bool {
	switch query {
	case queryPause, queryResume, queryReplay, queryDrop:
		return true
	}
	return false
}

const (
	defaultWait = time.Minute
	mostWait    = time.Hour // as the service allows
)

// querier asks a bridge on the bus. Where none can be asked it answers itself, with the code of the bridge, from the streams.
//
// A query that changes something is answered here only if it is certain that no bridge has heard it: nobody listens to it, or the server did not let
// it pass. An answer that does not come proves nothing, so that nothing is done again, and the error says so.
type querier struct {
	conn   *nats.Conn
	names  subjects.Names
	own    map[string]rpc.Query // that are answered here
	direct bool                 // no bridge is asked
	wait   time.Duration        // for an answer

	unheard map[string]error // queries that no bridge hears, and why

	mu      sync.Mutex
	asking  string                  // subject of the request under way; empty without one
	end     context.CancelCauseFunc // of its wait
	refused error                   // what else the server refused last
}

// errNobody says that no bridge has heard a request.
var errNobody = errors.New("no bridge answers")

// failureError is what a bridge tells instead of an answer.
type failureError struct{ code, text string }

func (e *failureError) Error() string { return e.text }

// Codes of failures.
const (
	codeNotFound = "404"
	codeTooLarge = "413"
	codeTimeout  = "504"
)

// ask asks a query and decodes its answer.
func ask[A any](ctx context.Context, q *querier, query string, request any) (A, error) {
	var answer A
	body, err := json.Marshal(request)
	if err != nil {
		return answer, fmt.Errorf("%s: %w", query, err)
	}
	found, err := q.answer(ctx, query, body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(found, &answer); err != nil {
		return answer, fmt.Errorf("answer to %s: %w", query, err)
	}
	return answer, nil
}

func (q *querier) answer(ctx context.Context, query string, request []byte) ([]byte, error) {
	if q.direct || q.unheard[query] != nil {
		return q.self(ctx, query, request)
	}
	answer, err := q.request(ctx, query, request)
	var refused *refusalError
	var failure *failureError
	switch {
	case errors.Is(err, errNobody), errors.As(err, &refused):
		if q.unheard == nil {
			q.unheard = map[string]error{}
		}
		q.unheard[query] = err
		return q.self(ctx, query, request)
	case errors.As(err, &failure) && failure.code == codeTooLarge && !acts(query):
		return q.self(ctx, query, request)
	case errors.As(err, &failure) && failure.code == codeTimeout:
		return nil, fmt.Errorf("%w; %s", err, remedy(query))
	}
	return answer, err
}

// self answers a query in this process.
func (q *querier) self(ctx context.Context, query string, request []byte) ([]byte, error) {
	own, ok := q.own[query]
	if !ok {
		return nil, q.unheard[query]
	}
	answer, err := own(ctx, request)
	if err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

// request asks a bridge. The error is errNobody or a refusalError only if none has heard it.
func (q *querier) request(ctx context.Context, query string, body []byte) ([]byte, error) {
	message := nats.NewMsg(q.names.RPCSubject(query))
	message.Header.Set(subjects.HeaderTimeout, q.wait.String())
	message.Data = body
	limit, cancel := context.WithTimeout(ctx, q.wait+q.wait/10) // a bridge whose time is over says so itself
	defer cancel()
	limit, done := q.watch(limit, message.Subject)
	defer done()
	answer, err := q.conn.RequestMsgWithContext(limit, message)
	var refused *refusalError
	switch {
	case err == nil:
		return answered(answer)
	case errors.Is(err, nats.ErrNoResponders):
		return nil, fmt.Errorf("%w on this bus with subjects.prefix %q", errNobody, q.names.Prefix())
	case errors.As(context.Cause(limit), &refused) && refused.subject == message.Subject:
		return nil, refused
	case refused != nil:
		err = errors.New(refused.Error() + "; set nats.inbox_prefix to where it may") // the bridge may have heard the request all the same
	case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
		err = fmt.Errorf("none came in %s", q.wait)
	}
	return nil, fmt.Errorf("%s: no answer of a bridge: %w; %s", query, err, remedy(query))
}

func answered(m *nats.Msg) ([]byte, error) {
	if text := m.Header.Get(subjects.HeaderServiceError); text != "" {
		return nil, &failureError{code: m.Header.Get(subjects.HeaderServiceErrorCode), text: text}
	}
	return m.Data, nil
}

// remedy is what to do when no answer came.
func remedy(query string) string {
	switch query {
	case queryReplay:
		return "it is not known whether it was done"
	case queryPause, queryResume, queryDrop:
		return "it is not known whether it was done; to do it again does no harm"
	case queryStatus:
		return "wait longer with --wait"
	}
	return "wait longer with --wait, or read the streams without a bridge with --direct"
}

// refusalError says that the user may not do something on the bus.
type refusalError struct{ action, subject string }

func (e *refusalError) Error() string {
	return fmt.Sprintf("missing permission: the NATS user may not %s to %q", e.action, e.subject)
}

// failed is told of errors of the connection. What the server does not let pass is never answered, so that nobody needs to wait for it.
func (q *querier) failed(_ *nats.Conn, _ *nats.Subscription, err error) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return
	}
	refused := &refusalError{action: "publish"}
	_, rest, found := strings.Cut(err.Error(), `Publish to "`)
	if !found {
		refused.action = "subscribe"
		_, rest, _ = strings.Cut(err.Error(), `Subscription to "`)
	}
	refused.subject, _, _ = strings.Cut(rest, `"`)
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.asking != "" && (refused.subject == q.asking || refused.action == "subscribe") {
		q.end(refused)
		return
	}
	q.refused = refused
}

// watch returns a context that ends when the server refuses a request, or to take its answer.
func (q *querier) watch(ctx context.Context, subject string) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.asking, q.end = subject, cancel
	return ctx, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.asking = ""
		cancel(nil)
	}
}

// refusal is what the server refused last, requests to a bridge aside; nil for nothing.
func (q *querier) refusal() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.refused
}
