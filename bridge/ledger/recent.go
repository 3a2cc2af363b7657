package ledger

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// How much is remembered for the webhook side. An open claim is kept for a shorter time: it stands for a call that is under way, and a claim that was
// released elsewhere is not told to anybody.
const (
	outcomesAge  = 15 * time.Minute
	outcomesMost = 50_000
	claimsAge    = time.Minute
	claimsMost   = 20_000
	closedMost   = 5_000 // the reader of the stream is told of no older one again
)

// recent is what this bridge and others claimed and settled lately, in memory.
type recent struct {
	now func() time.Time

	mu       sync.Mutex
	messages notebook // command ids by message id; of outcomes
	claims   shelf    // by content; of open claims
	closed   notebook // command ids; of settled commands, whose claims may arrive later than their outcomes
}

func newRecent(now func() time.Time) *recent {
	r := &recent{
		now: now, messages: newNotebook(outcomesAge, outcomesMost), claims: newShelf(claimsAge, claimsMost), closed: newNotebook(claimsAge, closedMost),
	}
	r.claims.group, r.claims.groups = orderKey, make(map[string]int)
	return r
}

// EchoOf returns the id of the command that caused a message event, if it is known: the command whose outcome names the message, or
// else a command whose call is under way and posts the same content of the same type into the same conversation. It looks only into
// memory, which [Ledger.Follow] fills. The fingerprint, which may be empty, is asked for only if a call is under way in the conversation.
func (l *Ledger) EchoOf(conversationID, messageID, messageType string, fingerprint func() string) (commandID string, ok bool) {
	return l.recent.echoOf(conversationID, messageID, messageType, fingerprint)
}

func (r *recent) echoOf(conversationID, messageID, messageType string, fingerprint func() string) (string, bool) {
	id, open := r.made(conversationID, messageID)
	if id != "" || !open {
		return id, id != ""
	}
	print := fingerprint()
	if print == "" {
		return "", false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.claims.get(contentKey("conversation/"+conversationID, messageType, print), r.now())
}

// made returns the command that made a message, and whether the conversation has open claims.
func (r *recent) made(conversationID, messageID string) (commandID string, open bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if messageID != "" {
		commandID, _ = r.messages.get(messageID, r.now())
	}
	return commandID, conversationID != "" && r.claims.has("conversation/"+conversationID)
}

func contentKey(key, messageType, fingerprint string) string {
	return strings.Join([]string{messageType, fingerprint, key}, " ")
}

// orderKey is the order key in a content key.
func orderKey(contentKey string) string {
	for range 2 {
		_, contentKey, _ = strings.Cut(contentKey, " ")
	}
	return contentKey
}

func (r *recent) claimed(c Claim, at time.Time) {
	if c.Fingerprint == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, settled := r.closed.get(c.CommandID, r.now()); settled {
		return
	}
	r.claims.put(contentKey(c.Key, c.MessageType, c.Fingerprint), c.CommandID, at, r.now())
}

func (r *recent) released(c Claim) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims.drop(c.CommandID)
}

func (r *recent) settled(o *Outcome, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.claims.drop(o.Result.CommandID)
	r.closed.put(o.Result.CommandID, "", at, r.now())
	if o.MessageID != "" {
		r.messages.put(o.MessageID, o.Result.CommandID, at, r.now())
	}
}

// shelf maps keys to command ids, and forgets what is old or too much. A key has one command at a time and a command one key, the last
// that came.
type shelf struct {
	age  time.Duration
	most int

	entries map[string]entry  // by key
	keys    map[string]string // by command id
	queue   []place           // in the order in which entries came
	serial  uint64            // of the last entry

	group  func(key string) string // nil: entries are not grouped
	groups map[string]int          // how many entries there are of each group
}

// entry is small, as there may be tens of thousands.
type entry struct {
	commandID string
	at        int64 // nanoseconds
	serial    uint64
}

func (e entry) age(now time.Time) time.Duration { return time.Duration(now.UnixNano() - e.at) }

// place is an entry's place in the queue. It is empty when the key's entry has another serial number.
type place struct {
	key    string
	serial uint64
}

func newShelf(age time.Duration, most int) shelf {
	return shelf{age: age, most: most, entries: make(map[string]entry), keys: make(map[string]string)}
}

func (s *shelf) get(key string, now time.Time) (string, bool) {
	e, ok := s.entries[key]
	if !ok || e.age(now) > s.age {
		return "", false
	}
	return e.commandID, true
}

func (s *shelf) put(key, commandID string, at, now time.Time) {
	if now.Sub(at) > s.age {
		return
	}
	s.drop(commandID)
	s.remove(key)
	s.serial++
	s.entries[key] = entry{commandID, at.UnixNano(), s.serial}
	s.keys[commandID] = key
	s.count(key, 1)
	s.queue = append(s.queue, place{key, s.serial})
	s.trim(now)
}

func (s *shelf) drop(commandID string) {
	if key, ok := s.keys[commandID]; ok {
		s.remove(key)
	}
}

func (s *shelf) remove(key string) {
	if e, ok := s.entries[key]; ok {
		delete(s.keys, e.commandID)
		delete(s.entries, key)
		s.count(key, -1)
	}
}

// has reports whether there are entries of a group; they may be too old.
func (s *shelf) has(group string) bool { return s.groups[group] > 0 }

func (s *shelf) count(key string, more int) {
	if s.group == nil {
		return
	}
	group := s.group(key)
	if s.groups[group] += more; s.groups[group] == 0 {
		delete(s.groups, group)
	}
}

// trim forgets from the old end of the queue, and closes the gaps in it when they are as many as entries may be.
func (s *shelf) trim(now time.Time) {
	for len(s.queue) > 0 {
		e, there := s.at(s.queue[0])
		if there && e.age(now) <= s.age && len(s.entries) <= s.most {
			break
		}
		if there {
			s.remove(s.queue[0].key)
		}
		s.queue = s.queue[1:]
	}
	if len(s.queue) > 2*s.most {
		s.queue = slices.DeleteFunc(s.queue, func(p place) bool { _, there := s.at(p); return !there })
	}
}

func (s *shelf) at(p place) (entry, bool) {
	e, ok := s.entries[p.key]
	return e, ok && e.serial == p.serial
}
