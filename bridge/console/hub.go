package console

import (
	"errors"
	"sync"
)

// Bounds of those who watch. A browser that does not keep up with so many messages misses some, and is told how many.
const (
	mostWatchers = 16
	watcherRoom  = 32
)

var (
	errFull   = errors.New("as many consoles as the bridge allows are open already; close one of them")
	errClosed = errors.New("the bridge is stopping")
)

// hub knows who watches.
type hub struct {
	first chan struct{} // gets a value when somebody watches after nobody did

	mu       sync.Mutex
	watchers map[*watcher]struct{}
	closed   bool
}

// watcher is one open page.
type watcher struct {
	hub  *hub
	news chan []byte // closed when the bridge stops
	left int         // messages that did not fit since the last one that did; guarded by the hub
}

func newHub() *hub {
	return &hub{first: make(chan struct{}, 1), watchers: map[*watcher]struct{}{}}
}

func (h *hub) join() (*watcher, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, errClosed
	case len(h.watchers) == mostWatchers:
		return nil, errFull
	}
	w := &watcher{hub: h, news: make(chan []byte, watcherRoom)}
	h.watchers[w] = struct{}{}
	if len(h.watchers) == 1 {
		select {
		case h.first <- struct{}{}:
		default: // the loop has not noticed yet that the one before has left
		}
	}
	return w, nil
}

func (w *watcher) leave() {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	delete(w.hub.watchers, w)
}

// missed returns how many messages did not fit since it was asked last.
func (w *watcher) missed() int {
	w.hub.mu.Lock()
	defer w.hub.mu.Unlock()
	left := w.left
	w.left = 0
	return left
}

func (h *hub) empty() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers) == 0
}

// send never waits: who does not keep up misses the message.
func (h *hub) send(text []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for w := range h.watchers {
		select {
		case w.news <- text:
		default:
			w.left++
		}
	}
}

// close sends everybody away, and lets nobody in any more.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for w := range h.watchers {
		close(w.news)
		delete(h.watchers, w)
	}
}
