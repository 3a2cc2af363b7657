package cxapi

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testTenant = "acme.cx.sangoma.com"
	testToken  = "tok-1234567890abcdef"
)

// testClient returns a client whose time-out no passing test reaches.
func testClient(t *testing.T, base string, opts ...Option) *Client {
	t.Helper()
	c, err := New(base, testTenant, append([]Option{WithToken(testToken), WithTimeout(2 * time.Minute)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// testServer serves h until the test ends.
func testServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL + "/cx/api/v1/digital-interactions/"
}

// answering is a handler that gives one answer to everything.
func answering(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a failure shows at the client
		w.WriteHeader(status)
		if status != http.StatusNoContent && status != http.StatusNotModified {
			_, _ = io.WriteString(w, body) // a failure shows at the client
		}
	}
}

// send posts a message, the call that must not be repeated; finish ends a conversation, the call that may be.
func send(c *Client) error {
	_, err := c.SendMessage(context.Background(), MessageParams{ConversationID: NumberID(42), Content: "hello there"})
	return err
}

func finish(c *Client) error {
	_, err := c.Finish(context.Background(), NumberID(42))
	return err
}

// failure returns the *Error in err.
func failure(t *testing.T, err error) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want an *Error", err, err)
	}
	return e
}

// dialer is a transport whose connections are made by dial.
func dialer(dial func(ctx context.Context) (net.Conn, error)) Option {
	return WithHTTPClient(&http.Client{Transport: NewTransport(TransportConfig{
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	})})
}
