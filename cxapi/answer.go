package cxapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
)

// Answer is what the API answered to a call that was carried out.
type Answer struct {
	// Status is the HTTP status, 200 to 299.
	Status int
	// Body is the answer as it came; nil if it was empty, not JSON, or not read to its end.
	Body json.RawMessage
}

// create makes a call that makes something, and finds it in the answer. The object is nil if the answer has none: the
// call was carried out all the same. An answer from which neither that nor an id can be learnt is an unknown outcome.
func (c *Client) create(ctx context.Context, cl call, r resource) (Answer, *object, error) {
	rep, err := c.do(ctx, cl)
	if err != nil {
		return Answer{}, nil, err
	}
	answer := rep.answer()
	if rep.cut != nil {
		if found := r.find(mend(rep.data)); found != nil {
			return answer, found, nil
		}
		return Answer{}, nil, rep.unclear(cl, rep.cut)
	}
	if len(bytes.TrimSpace(rep.data)) == 0 {
		return answer, nil, nil
	}
	found := r.find(answer.Body)
	if found == nil {
		if cause := rep.suspicion(answer); cause != nil {
			return Answer{}, nil, rep.unclear(cl, cause)
		}
	}
	return answer, found, nil
}

// act makes a call of which only its being carried out matters.
func (c *Client) act(ctx context.Context, cl call) (*Answer, error) {
	rep, err := c.do(ctx, cl)
	if err != nil {
		return nil, err
	}
	answer := rep.answer()
	if rep.cut == nil && len(bytes.TrimSpace(rep.data)) > 0 {
		cause := rep.suspicion(answer)
		if cause != nil && (!errors.Is(cause, errNotJSON) || bytes.TrimSpace(rep.data)[0] == '<') {
			return nil, rep.unclear(cl, cause)
		}
	}
	return &answer, nil
}

func (rep reply) answer() Answer {
	if rep.cut == nil && json.Valid(rep.data) {
		return Answer{Status: rep.status, Body: rep.data}
	}
	return Answer{Status: rep.status}
}

// told is the answer to a call that failed, for [Error.Answer].
func (rep reply) told() json.RawMessage {
	if rep.cut != nil || len(rep.data) > MaxErrorAnswer || !json.Valid(rep.data) || rep.token != "" && bytes.Contains(rep.data, []byte(rep.token)) {
		return nil
	}
	return bytes.Clone(rep.data) // what was read has room to spare
}

var (
	errNotJSON = errors.New("the answer is not JSON")
	errNoList  = errors.New("the answer holds no list")
	errSaysNo  = errors.New("the answer is a success that holds an error")
)

// suspicion says why a success may be none: it is no JSON, as a proxy's page is, or it holds an error.
func (rep reply) suspicion(answer Answer) error {
	if answer.Body == nil {
		return errNotJSON
	}
	if o := readObject(answer.Body); o != nil && (holdsText(o.Error) || holdsText(o.Errors)) {
		return errSaysNo
	}
	return nil
}

// holdsText reports whether raw is anything but null, false, 0 and the empty string, list and object.
func holdsText(raw subtree) bool {
	switch string(bytes.Join(bytes.Fields(raw), nil)) {
	case "", "null", "false", "0", `""`, "[]", "{}":
		return false
	}
	return true
}

// unclear is the error for a success whose answer does not say what came of it.
func (rep reply) unclear(cl call, cause error) *Error {
	kind := KindUnavailable
	switch {
	case errors.Is(cause, errSaysNo):
		kind = KindRejected
	case rep.cut != nil && !errors.Is(rep.cut, errTooLong):
		kind = causeKind(rep.cut)
	}
	e := cl.fail(doubtful(kind, cl.repeatable))
	e.Status, e.Answer = rep.status, rep.told()
	e.Err = cause
	return e
}
