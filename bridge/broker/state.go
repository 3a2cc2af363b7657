package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// maxComplaints bounds how many different errors of a connection are logged before it reconnects.
const maxComplaints = 50

// PermissionError tells that the account of the bridge may not do what the bridge needs.
type PermissionError struct {
	// Action is "publish" or "subscribe".
	Action string
	// Subject is what the server refused.
	Subject string
}

// Error names the subject.
func (e *PermissionError) Error() string {
	return fmt.Sprintf("missing permission: the NATS user of the bridge may not %s to %q", e.Action, e.Subject)
}

// state follows a connection: it logs each change once, wakes who waits for it, and tells those who wait for an answer
// that it will not come because a permission is missing.
type state struct {
	log     *slog.Logger
	reached func(maxPayload int64) // nil: nobody is told

	mu         sync.Mutex
	up         bool
	refusal    error         // of the latest attempt to connect, nil while connected
	changed    chan struct{} // closed at each change
	complaints map[string]bool
	waiting    map[*context.CancelCauseFunc]struct{}
}

func newState(log *slog.Logger) *state {
	return &state{log: log, changed: make(chan struct{}), complaints: map[string]bool{}, waiting: map[*context.CancelCauseFunc]struct{}{}}
}

// begun logs that the first connect failed, once.
func (s *state) begun(conn *nats.Conn) {
	if !conn.IsConnected() {
		s.log.Warn("nats cannot be reached; trying on", "error", s.cause(conn))
	}
}

// refused is told why an attempt to connect failed.
func (s *state) refused(_ *nats.Conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.up {
		s.refusal = err
	}
}

// cause is why there is no connection: nats.go itself forgets it between two attempts.
func (s *state) cause(conn *nats.Conn) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refusal != nil {
		return s.refusal
	}
	if err := conn.LastError(); err != nil {
		return err
	}
	return errors.New("no server answered yet")
}

func (s *state) connected(conn *nats.Conn) {
	if !s.change(true) {
		return
	}
	where := conn.ConnectedUrlRedacted()
	if conn.Opts.InProcessServer != nil {
		where = "in this process"
	}
	s.log.Info("connected to nats", "server", conn.ConnectedServerName(), "url", where)
	if s.reached != nil {
		s.reached(conn.MaxPayload())
	}
}

func (s *state) disconnected(conn *nats.Conn, err error) {
	if s.change(false) && !conn.IsClosed() {
		s.log.Warn("connection to nats lost; reconnecting", "error", err)
	}
}

func (s *state) lameDuck(conn *nats.Conn) {
	s.log.Info("nats server is about to stop; moving to another", "server", conn.ConnectedServerName())
}

func (s *state) change(up bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.up == up {
		return false
	}
	s.up, s.refusal = up, nil
	clear(s.complaints)
	close(s.changed)
	s.changed = make(chan struct{})
	return true
}

// waitChange returns a channel that is closed at the next change.
func (s *state) waitChange() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]*)"`)

// failed is told of asynchronous errors. Each kind is logged once per connection.
func (s *state) failed(_ *nats.Conn, sub *nats.Subscription, err error) {
	missing := permissionError(err)
	key := err.Error()
	if missing != nil {
		key = missing.Action + stablePart(missing.Subject)
	}
	s.mu.Lock()
	news := !s.complaints[key] && len(s.complaints) < maxComplaints
	if news {
		s.complaints[key] = true
	}
	s.mu.Unlock()
	if news {
		s.complain(sub, err, missing)
	}
	if missing != nil && (strings.HasPrefix(missing.Subject, "$JS.") || missing.Action == "subscribe") {
		s.cancelWaiting(missing)
	}
}

func (s *state) complain(sub *nats.Subscription, err error, missing *PermissionError) {
	if missing != nil {
		s.log.Error("nats refused", "error", missing)
		return
	}
	subject := ""
	if sub != nil {
		subject = sub.Subject
	}
	s.log.Error("nats connection", "error", err, "subject", subject)
}

func permissionError(err error) *PermissionError {
	found := violation.FindStringSubmatch(err.Error())
	if found == nil {
		return nil
	}
	action := "publish"
	if strings.EqualFold(found[1], "subscription") {
		action = "subscribe"
	}
	return &PermissionError{Action: action, Subject: found[2]}
}

// stablePart cuts the last token off, which is often an id.
func stablePart(subject string) string {
	if dot := strings.LastIndexByte(subject, '.'); dot > 0 {
		return subject[:dot]
	}
	return subject
}

// watch returns a context that ends with a [PermissionError] as its cause when the server refuses something meanwhile.
func (s *state) watch(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	key := &cancel
	s.mu.Lock()
	s.waiting[key] = struct{}{}
	s.mu.Unlock()
	return ctx, func() {
		s.mu.Lock()
		delete(s.waiting, key)
		s.mu.Unlock()
		cancel(nil)
	}
}

func (s *state) cancelWaiting(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for cancel := range s.waiting {
		(*cancel)(err)
	}
}
