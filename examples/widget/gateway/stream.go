package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// writeTimeout is how long a browser may take to read what it is sent.
const writeTimeout = time.Minute

// events is the stream to a browser: first everything that there is, then what happens.
func (g *Gateway) events(w http.ResponseWriter, r *http.Request) {
	visitor, ok := g.visitor(r)
	switch {
	case !g.isReady():
		g.refuse(w, r, errAway)
		return
	case !ok || !g.known(visitor):
		g.refuse(w, r, errNoVisitor)
		return
	}
	leave, ok := g.gate.enter(visitor)
	if !ok {
		g.refuse(w, r, errTooOften)
		return
	}
	defer leave()
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no")
	out := &browser{w: w, control: http.NewResponseController(w)}
	g.stream(r, visitor, out)
}

// stream writes until the browser is gone, the gateway ends, or the visitor is forgotten.
func (g *Gateway) stream(r *http.Request, visitor string, out *browser) {
	alive := time.NewTicker(g.cfg.KeepAlive)
	defer alive.Stop()
	var n news
	for {
		var ok bool
		if n, ok = g.chats.news(visitor, n.chat, n.version); !ok || out.write(n) != nil {
			return
		}
		select {
		case <-n.changed:
		case <-alive.C:
		case <-r.Context().Done():
			return
		case <-g.done:
			return
		}
	}
}

// browser is the other end of a stream.
type browser struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// write sends what is new, or a sign of life.
func (b *browser) write(n news) error {
	if err := b.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	var err error
	put := func(event string, data any) {
		text, bad := json.Marshal(data)
		if err == nil {
			err = bad
		}
		if err == nil {
			_, err = fmt.Fprintf(b.w, "event: %s\ndata: %s\n\n", event, text)
		}
	}
	for _, m := range n.messages {
		put("message", m)
	}
	for _, f := range n.failures {
		put("failure", f)
	}
	if n.summary != nil {
		put("state", n.summary)
	}
	put("alive", struct{}{})
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	return b.control.Flush()
}
