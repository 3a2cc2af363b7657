package cxapi

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// what a test expects of a failure: of a call that must not be repeated, and of one that may be.
type expected struct {
	kind      Kind
	outcome   Outcome // of the call that must not be repeated
	repeat    Outcome // of the call that may be
	ambiguous bool    // of the call that must not be repeated
}

func certain(k Kind, o Outcome) expected { return expected{kind: k, outcome: o, repeat: o} }
func unclear(k Kind) expected {
	return expected{kind: k, outcome: OutcomeUnknown, repeat: OutcomeLater, ambiguous: true}
}

// check makes both calls with clients made by client.
func check(t *testing.T, status int, want expected, client func() *Client) {
	t.Helper()
	e := failure(t, send(client()))
	if e.Status != status || e.Kind != want.kind || e.Outcome != want.outcome || e.Ambiguous != want.ambiguous {
		t.Errorf("send: got %d %s %s (ambiguous: %v), want %d %+v: %v", e.Status, e.Kind, e.Outcome, e.Ambiguous, status, want, e)
	}
	e = failure(t, finish(client()))
	if e.Status != status || e.Kind != want.kind || e.Outcome != want.repeat {
		t.Errorf("finish: got %d %s %s, want %d %+v: %v", e.Status, e.Kind, e.Outcome, status, want, e)
	}
}

// statusWant is the table of statuses, written down a second time.
func statusWant(status int) expected {
	switch status {
	case 401:
		return certain(KindUnauthorized, OutcomeNever)
	case 403:
		return certain(KindForbidden, OutcomeNever)
	case 404, 410:
		return certain(KindNotFound, OutcomeNever)
	case 408:
		return certain(KindTimeout, OutcomeLater)
	case 425, 503:
		return certain(KindUnavailable, OutcomeLater)
	case 429:
		return certain(KindRateLimited, OutcomeLater)
	case 303:
		return expected{kind: KindRejected, outcome: OutcomeUnknown, repeat: OutcomeNever, ambiguous: true}
	case 504:
		return unclear(KindTimeout)
	}
	if status >= 300 && status <= 499 {
		return certain(KindRejected, OutcomeNever)
	}
	return unclear(KindUnavailable)
}

func TestEveryStatusHasItsOutcome(t *testing.T) {
	base := testServer(t, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.Split(r.URL.Path, "/")[5])
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Location", "/elsewhere/")
		answering(status, `{"error":"no"}`)(w, r)
	})
	transport := NewTransport(TransportConfig{})
	t.Cleanup(transport.CloseIdleConnections)
	for status := 200; status <= 599; status++ {
		c := testClient(t, fmt.Sprintf("%s%d/", base, status), WithHTTPClient(&http.Client{Transport: transport}))
		if status != 204 && status < 300 {
			continue // TestAnswers has them
		}
		if status == 204 {
			if err := errors.Join(send(c), finish(c)); err != nil {
				t.Error(err)
			}
			continue
		}
		check(t, status, statusWant(status), func() *Client { return c })
	}
	for _, status := range []int{101, 199, 600, 999} { // no server of Go's sends them
		if v := statusVerdict(status, false); v.outcome != OutcomeUnknown {
			t.Errorf("%d: got %v", status, v)
		}
	}
}

func TestEmptyAndOddSuccesses(t *testing.T) {
	for name, test := range map[string]struct {
		body         string
		send, finish string // outcome; "" = done
	}{
		"empty":            {"", "", ""},
		"space":            {" \n", "", ""},
		"no id":            {`{"success":true}`, "", ""},
		"a string":         {`"ok"`, "", ""},
		"no error":         {`{"error":null,"errors":[]}`, "", ""},
		"text":             {"OK", "unknown", ""},
		"a page":           {"<html><title>Maintenance</title></html>", "unknown", "later"},
		"an error":         {`{"error":"queue down"}`, "unknown", "later"},
		"errors":           {`{"errors":["queue down"]}`, "unknown", "later"},
		"an error, an id":  {`{"error":"just a warning","id":1}`, "", "later"},
		"JSON that breaks": {`{"content":"a","id"`, "unknown", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := testClient(t, testServer(t, answering(http.StatusOK, test.body)))
			for call, want := range map[string]string{"send": test.send, "finish": test.finish} {
				err := send(c)
				if call == "finish" {
					err = finish(c)
				}
				if want == "" {
					if err != nil {
						t.Errorf("%s: %v", call, err)
					}
				} else if e := failure(t, err); e.Outcome.String() != want || e.Status != 200 || !e.Ambiguous {
					t.Errorf("%s: got %+v, want %s", call, e, want)
				}
			}
		})
	}
}

func TestRefusedConnection(t *testing.T) {
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client {
		return testClient(t, "http://127.0.0.1:1/") // nobody listens there
	})
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client { // a transport that does not report
		return testClient(t, "http://127.0.0.1:1/", WithHTTPClient(&http.Client{Transport: failing{
			&net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
		}}))
	})
}

func TestUnknownHost(t *testing.T) {
	failed := &net.DNSError{Err: "no such host", Name: "cx.example.test", IsNotFound: true}
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client {
		return testClient(t, "http://cx.example.test/", dialer(func(context.Context) (net.Conn, error) { return nil, failed }))
	})
}

func TestFailedTLSHandshake(t *testing.T) {
	server := httptest.NewUnstartedServer(answering(http.StatusOK, ""))
	server.Config.ErrorLog = discardLog()
	server.StartTLS()
	t.Cleanup(server.Close)
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client { return testClient(t, server.URL) }) // unknown authority

	plain := httptest.NewServer(answering(http.StatusOK, ""))
	t.Cleanup(plain.Close)
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client {
		return testClient(t, strings.Replace(plain.URL, "http:", "https:", 1))
	})
}

// failing is a transport that does not report what it does.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestATransportThatDoesNotReportIsDoubted(t *testing.T) {
	check(t, 0, unclear(KindConnection), func() *Client {
		return testClient(t, "http://cx.example.test/", WithHTTPClient(&http.Client{Transport: failing{io.ErrUnexpectedEOF}}))
	})
}

// brokenConn fails to write after a number of bytes.
type brokenConn struct {
	net.Conn
	after int
}

func (c *brokenConn) Write(p []byte) (int, error) {
	if len(p) <= c.after {
		c.after -= len(p)
		return len(p), nil
	}
	n := c.after
	c.after = 0
	return n, &net.OpError{Op: "write", Net: "tcp", Err: syscall.ECONNRESET}
}

func TestResetWhileWriting(t *testing.T) {
	for after, want := range map[int]expected{
		0:  certain(KindConnection, OutcomeLater),
		10: unclear(KindConnection), // the server had a part of it
	} {
		check(t, 0, want, func() *Client {
			return testClient(t, "http://cx.example.test/", dialer(func(context.Context) (net.Conn, error) {
				ours, theirs := net.Pipe()
				t.Cleanup(func() { _ = theirs.Close() }) // a pipe's Close cannot fail
				return &brokenConn{Conn: ours, after: after}, nil
			}))
		})
	}
}

func TestResetBeforeWritingInsideTLS(t *testing.T) {
	server := httptest.NewTLSServer(answering(http.StatusOK, ""))
	t.Cleanup(server.Close)
	client := server.Client()
	roots := client.Transport.(*http.Transport).TLSClientConfig.RootCAs
	check(t, 0, certain(KindConnection, OutcomeLater), func() *Client {
		conn := &cuttable{}
		transport := NewTransport(TransportConfig{
			TLS: &tls.Config{RootCAs: roots},
			Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
				var err error
				conn.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
				return conn, err
			},
		})
		c := testClient(t, server.URL, WithHTTPClient(&http.Client{Transport: transport}))
		if err := finish(c); err != nil { // makes the connection
			t.Fatal(err)
		}
		conn.cut()
		return c
	})
}

func TestAnswerLostAfterTheRequestWasWritten(t *testing.T) {
	for name, end := range map[string]func(*net.TCPConn) error{
		"reset":  func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
		"closed": func(c *net.TCPConn) error { return c.Close() },
		"half": func(c *net.TCPConn) error {
			_, err := io.WriteString(c, "HTTP/1.1 20")
			return errors.Join(err, c.Close())
		},
		"not HTTP": func(c *net.TCPConn) error {
			_, err := io.WriteString(c, "hello\r\n\r\n")
			return errors.Join(err, c.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, 0, unclear(KindConnection), func() *Client { return testClient(t, testServer(t, hijacked(t, end))) })
		})
	}
}

// hijacked reads the whole request and then does something to the connection.
func hijacked(t *testing.T, end func(*net.TCPConn) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			err = end(conn.(*net.TCPConn))
		}
		if err != nil {
			t.Error(err)
		}
	}
}

func TestCutAnswer(t *testing.T) {
	cut := func(body string) func(*net.TCPConn) error {
		return func(c *net.TCPConn) error {
			_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body)+100, body)
			return errors.Join(err, c.Close())
		}
	}
	c := testClient(t, testServer(t, hijacked(t, cut(`{"content":"hello","id":90`)))) // 90 may be the half of 9001
	if e := failure(t, send(c)); e.Outcome != OutcomeUnknown || e.Kind != KindConnection || e.Status != 200 {
		t.Errorf("send without id: got %+v", e)
	}
	if err := finish(c); err != nil {
		t.Errorf("finish: %v", err) // the status says that it was done, and no more is wanted
	}
	if _, err := c.ListInboxes(t.Context()); failure(t, err).Outcome != OutcomeLater {
		t.Errorf("list: %v", err)
	}
	c = testClient(t, testServer(t, hijacked(t, cut(`{"payload":{"id":9001,"content":"hel`))))
	m, err := c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: "hello"})
	if err != nil || m.ID != NumberID(9001) || m.Body != nil {
		t.Errorf("send with id: got %+v, %v", m, err)
	}
}

func TestLongAnswersAreCappedAndDrained(t *testing.T) {
	long := `{"id":9001,"content":"` + strings.Repeat("x", 100_000) + `"}`
	conns := map[string]bool{}
	c := testClient(t, testServer(t, func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		answering(http.StatusOK, long)(w, r)
	}), WithMaxBody(1000))
	for range 3 {
		m, err := c.SendMessage(t.Context(), MessageParams{ConversationID: NumberID(42), Content: "hello"})
		if err != nil || m.ID != NumberID(9001) || m.Body != nil {
			t.Fatalf("got %+v, %v", m, err)
		}
	}
	if len(conns) != 1 {
		t.Errorf("%d connections for 3 calls, want 1", len(conns))
	}
}

// silent is a connection to a server that reads the request and never answers.
func silent(t *testing.T, got chan<- struct{}) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer func() { _ = theirs.Close() }() // a pipe's Close cannot fail
			reader := bufio.NewReader(theirs)
			req, err := http.ReadRequest(reader)
			if err == nil {
				_, err = io.Copy(io.Discard, req.Body)
			}
			if err != nil {
				t.Error(err)
			}
			got <- struct{}{}
			_, _ = reader.ReadByte() // until the client gives up
		}()
		return ours, nil
	}
}

func TestTimeouts(t *testing.T) {
	hanging := func(ctx context.Context) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	for name, test := range map[string]struct {
		dial func(context.Context) (net.Conn, error)
		want expected
	}{
		"connecting": {hanging, certain(KindTimeout, OutcomeLater)},
		"answering":  {silent(t, make(chan struct{}, 2)), unclear(KindTimeout)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				check(t, 0, test.want, func() *Client {
					return testClient(t, "http://cx.example.test/", dialer(test.dial), WithTimeout(10*time.Second))
				})
			})
		})
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	c := testClient(t, "http://cx.example.test/", dialer(nil)) // a call that is sent panics
	_, err := c.SendMessage(ctx, MessageParams{ConversationID: NumberID(42), Content: "hi"})
	if e := failure(t, err); e.Kind != KindCancelled || e.Outcome != OutcomeLater || !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %+v", e)
	}

	ctx, cancel = context.WithCancel(context.Background())
	got := make(chan struct{})
	c = testClient(t, "http://cx.example.test/", dialer(silent(t, got)))
	go func() { <-got; cancel() }()
	_, err = c.SendMessage(ctx, MessageParams{ConversationID: NumberID(42), Content: "hi"})
	if e := failure(t, err); e.Kind != KindCancelled || e.Outcome != OutcomeUnknown {
		t.Errorf("after: got %+v", e)
	}
}
