package cxapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// call is one documented call: what is sent where.
type call struct {
	method     string
	path       string // below the base address, with its slash at the end
	repeatable bool   // carrying it out twice does no harm
	body       any    // nil for GET
}

func (cl call) op() string { return cl.method + " " + cl.path }

// fail makes the error for a verdict.
func (cl call) fail(v verdict) *Error {
	return &Error{Op: cl.op(), Kind: v.kind, Outcome: v.outcome, Ambiguous: v.ambiguous}
}

// malformed is the error of a call that must not be sent.
func (cl call) malformed(problem string) *Error {
	e := cl.fail(never(KindMalformed))
	e.Err = errors.New(problem)
	return e
}

// reply is an answer.
type reply struct {
	status int
	data   []byte
	cut    error // why data is not the whole body; nil if it is
	token  string
}

// errTooLong is why a body is cut that goes on beyond the cap.
var errTooLong = errors.New("the answer is too long")

// do makes the call, and makes it once more with a new token if it was answered 401. The error is always an *Error.
func (c *Client) do(ctx context.Context, cl call) (reply, error) {
	body, err := encodeBody(cl.body)
	if err != nil {
		e := cl.fail(never(KindInternal))
		e.Err = err
		return reply{}, e
	}
	if until, ok := ctx.Deadline(); !ok || time.Until(until) > c.timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	token, err := c.tokens.Token(ctx)
	if err != nil {
		return reply{}, cl.tokenFailed(err)
	}
	answer, err := c.exchange(ctx, cl, body, token)
	var failure *Error
	if !errors.As(err, &failure) || failure.Status != http.StatusUnauthorized {
		return answer, err
	}
	c.tokens.Invalidate(token)
	fresh, tokenErr := c.tokens.Token(ctx)
	if tokenErr != nil {
		return reply{}, cl.tokenFailed(tokenErr)
	}
	if _, minted := c.tokens.(*ClientCredentials); fresh == token && !minted {
		return reply{}, err
	}
	return c.exchange(ctx, cl, body, fresh)
}

// tokenFailed is the error of a call for which there was no token; it was not sent, or it was answered 401.
func (cl call) tokenFailed(err error) *Error {
	e := cl.fail(later(KindUnauthorized))
	var cause *Error
	switch {
	case errors.As(err, &cause):
		e.Kind, e.Outcome, e.RetryAfter, e.Code = cause.Kind, cause.Outcome, cause.RetryAfter, cause.Code
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind = causeKind(err)
	}
	e.Err = err
	return e
}

// exchange sends the call once.
func (c *Client) exchange(ctx context.Context, cl call, body []byte, token string) (reply, error) {
	if err := ctx.Err(); err != nil {
		e := cl.fail(later(causeKind(err)))
		e.Err = err
		return reply{}, e
	}
	var f flight
	req, err := c.request(f.watch(ctx), cl, body, token)
	if err != nil {
		e := cl.fail(never(KindInternal))
		e.Err = c.cleanCause(err, body, token)
		return reply{}, e
	}
	resp, err := c.send(req)
	if err != nil {
		return reply{}, c.transportFailed(cl, &f, err, body, token)
	}
	defer func() { _ = resp.Body.Close() }() // all that is wanted of the answer has been read
	data, cut := c.readBody(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		e := refused(cl, resp, data, body, token)
		e.Answer = reply{data: data, cut: cut, token: token}.told()
		return reply{}, e
	}
	if cut != nil {
		cut = c.cleanCause(cut, body, token)
	}
	return reply{status: resp.StatusCode, data: data, cut: cut, token: token}, nil
}

// send goes straight to the transport, unless the HTTP client was given more to do than to follow redirects, which it must not: it would copy the header
// and look for cookies.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	if c.http.Transport == nil || c.http.Jar != nil || c.http.Timeout > 0 {
		return c.http.Do(req)
	}
	return c.http.Transport.RoundTrip(req)
}

// request makes the HTTP request.
func (c *Client) request(ctx context.Context, cl call, body []byte, token string) (*http.Request, error) {
	address := c.base.JoinPath(cl.path)
	if cl.method == http.MethodGet && c.tenantGET {
		address.RawQuery = url.Values{"tenant_domain": {c.tenant}}.Encode()
	}
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, cl.method, "", reader)
	if err != nil {
		return nil, err
	}
	req.URL, req.Host = address, strings.TrimSuffix(address.Host, ":")
	req.GetBody = nil // so that the transport never sends it again by itself
	values := []string{"Bearer " + token, "application/json", c.userAgent}
	req.Header["Authorization"] = values[0:1:1]
	req.Header["Accept"], req.Header["Content-Type"] = values[1:2:2], values[1:2:2]
	req.Header["User-Agent"] = values[2:3:3]
	if c.trace.parent != "" {
		req.Header.Set("traceparent", c.trace.parent)
		if c.trace.state != "" {
			req.Header.Set("tracestate", c.trace.state)
		}
	}
	return req, nil
}

// drainLimit is how much of an answer beyond the cap is read to keep the connection.
const drainLimit = 256 << 10

// readBody reads the answer up to the cap, and drains what is left.
func (c *Client) readBody(resp *http.Response) (data []byte, cut error) {
	if size := resp.ContentLength; size > 0 && size <= c.maxBody {
		data = make([]byte, size)
		n, err := io.ReadFull(resp.Body, data)
		return data[:n], err
	}
	data, cut = io.ReadAll(io.LimitReader(resp.Body, c.maxBody+1))
	if int64(len(data)) > c.maxBody {
		data, cut = data[:c.maxBody], errTooLong
		_, _ = io.CopyN(io.Discard, resp.Body, drainLimit) // only to keep the connection; failing to costs a connection
	}
	return data, cut
}

// transportFailed judges a request that got no answer.
func (c *Client) transportFailed(cl call, f *flight, err error, body []byte, token string) *Error {
	kind := causeKind(err)
	v := later(kind)
	if f.mayBeWritten(err) {
		v = doubtful(kind, cl.repeatable)
	}
	e := cl.fail(v)
	e.Err = c.cleanCause(err, body, token)
	return e
}

// cleanCause takes the address off err, and secrets out of its text.
func (c *Client) cleanCause(err error, body []byte, token string) error {
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	return &cleanError{text: cleanText(err.Error(), body, token), err: err}
}

// refused judges an answer that is not 2xx.
func refused(cl call, resp *http.Response, data, body []byte, token string) *Error {
	e := cl.fail(statusVerdict(resp.StatusCode, cl.repeatable))
	e.Status = resp.StatusCode
	e.RetryAfter = retryAfter(resp.Header, time.Now())
	e.tooMany, e.already = says(data, body, tooManyText), says(data, body, alreadyText)
	e.Code, e.Body = excerpt(data, body, token)
	if e.TooManyMessages() {
		e.Kind, e.Outcome = KindRateLimited, OutcomeLater
	}
	return e
}

// says reports whether an answer says something that the request did not say itself, so that it is no echo.
func says(data, request []byte, text string) bool {
	return containsFold(string(data), text) && !containsFold(strings.Join(requestTexts(request), "\n"), text)
}

// encodeBody writes the body of a call; nil stays nil.
func encodeBody(body any) ([]byte, error) {
	if body == nil {
		return nil, nil
	}
	return encode(body)
}

// encode writes v as JSON, with <, > and & as they are.
func encode(v any) ([]byte, error) {
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
