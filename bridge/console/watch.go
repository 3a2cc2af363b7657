package console

import (
	"errors"
	"fmt"
	"net/http"
	"time"
)

// watch sends what happens as server-sent events until the browser or the bridge leaves.
func (c *Console) watch(w http.ResponseWriter, r *http.Request) {
	one, err := c.hub.join()
	if err != nil {
		w.Header().Set("Retry-After", "10")
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	defer one.leave()
	hello, err := encode("hello", map[string]any{
		"points": c.history.all(), "rows": c.feed.recent(), "every_ms": figureEvery.Milliseconds(), "kept": keptPoints, "most_rows": mostRows,
		"login": c.sessions.needed(), "prefix": c.deps.Names.Prefix(),
	})
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy must not collect it
	s := stream{w: w, control: http.NewResponseController(w)}
	// The server's limit of reading a request would end the context of this one, which goes on for as long as somebody watches.
	if err := s.control.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	if s.send(hello) != nil {
		return
	}
	quiet := time.NewTicker(quietLimit)
	defer quiet.Stop()
	for {
		text := []byte(": still here\n\n")
		select {
		case <-r.Context().Done():
			return
		case <-quiet.C:
			if !c.Permits(r) {
				return // the session has ended, or the token has changed
			}
		case news, open := <-one.news:
			if !open {
				return
			}
			if text = news; s.told(one.missed()) != nil {
				return
			}
		}
		if s.send(text) != nil {
			return
		}
	}
}

// stream writes to one browser.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// told tells how many messages the browser was too slow for.
func (s stream) told(missed int) error {
	if missed == 0 {
		return nil
	}
	return s.send(fmt.Appendf(nil, "event: missed\ndata: %d\n\n", missed))
}

func (s stream) send(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(writeLimit)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := s.w.Write(text); err != nil {
		return err
	}
	return s.control.Flush()
}
