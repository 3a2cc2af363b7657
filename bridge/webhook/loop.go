package webhook

import (
	"sync"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

const (
	loopWindow = time.Minute
	// loopMemory is the number of conversations that the loop guard remembers at most, at a few hundred bytes each.
	loopMemory = 20000
)

// loopGuard notices conversations in which bots talk and no customer does.
type loopGuard struct {
	most int // own messages within the window that are still fine; 0 for any number

	mu            sync.Mutex
	conversations map[string]*turns
}

// turns are the latest own messages of a conversation since the customer's last.
type turns struct {
	recent []turn // at most one more than are fine
	next   int    // where the next one goes
}

type turn struct {
	at        time.Time
	messageID string
}

func newLoopGuard(most int) *loopGuard {
	return &loopGuard{most: most, conversations: make(map[string]*turns)}
}

// observe takes note of a new message and reports whether there were too many own ones in its conversation. The same message again does not
// count.
func (g *loopGuard) observe(e *event, by subjects.Origin, now time.Time) bool {
	if g.most == 0 || e.conversationID == "" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.conversations[e.conversationID]
	if e.name != subjects.EventMessageCreated {
		return t != nil && t.tripped(g.most, now)
	}
	switch by {
	case subjects.OriginCustomer:
		delete(g.conversations, e.conversationID)
		return false
	case subjects.OriginBot:
		if t == nil {
			t = g.remember(e.conversationID, now)
		}
		t.add(turn{at: now, messageID: e.messageID}, g.most)
	}
	return t != nil && t.tripped(g.most, now)
}

func (g *loopGuard) remember(conversationID string, now time.Time) *turns {
	if len(g.conversations) >= loopMemory {
		g.forget(now)
	}
	t := &turns{}
	// The key is copied, so that it does not keep the body that it comes from.
	g.conversations[string([]byte(conversationID))] = t
	return t
}

// forget drops what is out of the window, and half of the rest if that is too little.
func (g *loopGuard) forget(now time.Time) {
	for id, t := range g.conversations {
		if now.Sub(t.latest()) > loopWindow {
			delete(g.conversations, id)
		}
	}
	for id := range g.conversations {
		if len(g.conversations) <= loopMemory/2 {
			return
		}
		delete(g.conversations, id)
	}
}

func (t *turns) add(one turn, most int) {
	for i := range t.recent {
		if one.messageID != "" && t.recent[i].messageID == one.messageID {
			return
		}
	}
	one.messageID = string([]byte(one.messageID))
	if len(t.recent) <= most {
		t.recent = append(t.recent, one)
		return
	}
	t.recent[t.next] = one
	t.next = (t.next + 1) % len(t.recent)
}

// tripped reports whether more than most own messages are within the window.
func (t *turns) tripped(most int, now time.Time) bool {
	return len(t.recent) > most && now.Sub(t.recent[t.next].at) < loopWindow
}

func (t *turns) latest() time.Time {
	latest := time.Time{}
	for _, one := range t.recent {
		if one.at.After(latest) {
			latest = one.at
		}
	}
	return latest
}
