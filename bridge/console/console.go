// Package console is the web page for operators at the admin listener. It reads, and never writes but by the queries that an operator has on the
// bus, too; DESIGN.md beside this file tells what it costs, and how it is kept from strangers.
//
// Read in this order: console.go and routes.go (what is served), access.go (to whom), hub.go (who watches), feed.go and row.go (what flows),
// history.go and figures.go (rates and latencies).
package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/subjects"
)

// ErrNoQuery says that an operator has no query of that name.
var ErrNoQuery = errors.New("there is no such query")

// Operator answers queries such as "bridge.status" as the micro service does. Its errors are told to whoever asked, and so must hold no secret.
type Operator interface {
	Ask(ctx context.Context, query string, request []byte) (answer any, err error)
}

// Streams finds streams; a [jetstream.JetStream] does.
type Streams interface {
	Stream(ctx context.Context, name string) (jetstream.Stream, error)
}

// Deps are the parts that a [Console] works with. All are needed.
type Deps struct {
	Names    subjects.Names
	Streams  Streams
	Operator Operator
	Metrics  prometheus.Gatherer
	Refresh  func(context.Context)    // brings those up to date that somebody else has to be asked for; called while somebody watches
	Token    func() string            // that operators log in with, as it is now; empty if none is asked for
	Allowed  func(*http.Request) bool // whether a request shows that token by itself
	Log      *slog.Logger
}

// Console is the page. It serves while [Console.Run] runs.
type Console struct {
	deps     Deps
	hub      *hub
	feed     *feed
	history  *history
	sessions *sessions
	asking   chan struct{} // bounds the queries that are worked on at once

	complaint string // the latest, of gathering
}

// How often what is looked at.
const (
	feedEvery   = 500 * time.Millisecond // only while somebody watches
	stateEvery  = 4                      // looks at the feed
	figureEvery = 5 * time.Second
	askLimit    = 30 * time.Second
	stateLimit  = 5 * time.Second
	mostAsking  = 8
)

// New returns a console. It does no input or output.
func New(deps Deps) *Console {
	return &Console{
		deps: deps, hub: newHub(), feed: newFeed(deps.Names, deps.Streams), history: newHistory(deps.Metrics), sessions: newSessions(deps.Token),
		asking: make(chan struct{}, mostAsking),
	}
}

// Run keeps a few minutes of figures, and looks at what flows while somebody watches, until ctx ends. Then it sends those who watch away.
func (c *Console) Run(ctx context.Context) error {
	defer c.hub.close()
	figures, looks := time.NewTicker(figureEvery), time.NewTicker(feedEvery)
	defer figures.Stop()
	defer looks.Stop()
	looks.Stop() // nobody watches
	if err := c.measure(ctx); err != nil {
		return err
	}
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-figures.C:
			if err := c.measure(ctx); err != nil {
				return err
			}
		case <-c.hub.first:
			c.feed.begin()
			looks.Reset(feedEvery)
			n = 0
		case <-looks.C:
			if c.hub.empty() {
				looks.Stop()
				c.feed.end()
				continue
			}
			if err := c.look(ctx, n%stateEvery == 0); err != nil {
				return err
			}
			n++
		}
	}
}

// measure takes the figures of a moment, and sends them to those who watch.
func (c *Console) measure(ctx context.Context) error {
	if !c.hub.empty() {
		c.deps.Refresh(ctx)
	}
	point, err := c.history.take(time.Now())
	switch {
	case err == nil:
		c.complaint = ""
	case err.Error() != c.complaint: // else it is told already
		c.complaint = err.Error()
		c.deps.Log.Warn("console: not all figures could be gathered", "error", err)
	}
	if point == nil || c.hub.empty() {
		return nil
	}
	return c.send("point", point)
}

// look sends what has flowed since the last look, and sometimes how the bridge is.
func (c *Console) look(ctx context.Context, state bool) error {
	if news := c.feed.look(ctx); ctx.Err() == nil {
		if err := c.send("feed", news); err != nil {
			return err
		}
	}
	if !state || ctx.Err() != nil {
		return nil
	}
	return c.send("state", c.state(ctx))
}

// state is how the bridge is, as far as it can be found out.
func (c *Console) state(ctx context.Context) map[string]any {
	ctx, cancel := context.WithTimeout(ctx, stateLimit)
	defer cancel()
	now := map[string]any{}
	for _, query := range []string{"status", "lanes"} {
		answer, err := c.deps.Operator.Ask(ctx, "bridge."+query, nil)
		if err != nil {
			now["problem"] = err.Error()
			continue
		}
		now[query] = answer
	}
	return now
}

// send encodes a message once for all who watch.
func (c *Console) send(event string, body any) error {
	text, err := encode(event, body)
	if err != nil {
		return err
	}
	c.hub.send(text)
	return nil
}

// encode makes a server-sent event.
func encode(event string, body any) ([]byte, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("console: %s: %w", event, err)
	}
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", event, data), nil
}
