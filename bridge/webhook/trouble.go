package webhook

import "sync"

// trouble is a state that lasts: it is told when it begins or changes, not each time that it is met.
type trouble struct {
	mu   sync.Mutex
	text string
}

// Do runs tell if the trouble is new.
func (t *trouble) Do(err error, tell func()) {
	t.mu.Lock()
	fresh := t.text != err.Error()
	t.text = err.Error()
	t.mu.Unlock()
	if fresh {
		tell()
	}
}

// Done ends the trouble and reports whether there was one.
func (t *trouble) Done() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.text != ""
	t.text = ""
	return was
}
