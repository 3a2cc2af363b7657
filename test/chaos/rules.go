package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// rule is one promise. It returns what breaks it, each with the evidence.
type rule struct {
	name  string
	says  string
	check func(*study) []string
}

func rules() []rule {
	return []rule{
		{"E1", "an accepted event is in the stream exactly once, byte for byte", eventsOnce},
		{"E2", "events of a conversation that were answered one after the other are stored in that order", eventsInOrder},
		{"E3", "the stream has no event that was not offered, and none that was refused for its signature", eventsNotMadeUp},
		{"E4", "a body that is no event is answered 400 and kept as a dead letter", malformedKept},
		{"C1", "a command that the bus acknowledged is in its stream", commandsKept},
		{"C2", "a command has exactly one result, and a result has a command", oneResult},
		{"C3", "a command is carried out at most once", atMostOnce},
		{"C4", "what is done was carried out, and what is invalid, refused, exhausted or expired was not", statusIsTrue},
		{"C5", "commands of a conversation are carried out in the order of the stream", callsInOrder},
		{"C6", "no call is made for a command that has its result, or under a claim of a term that is over (up to two by a woken process in the middle of writing)", noLateCall},
		{"C7", "each invalid, refused, exhausted or unknown command has one dead letter, and no other has any", letters},
		{"C8", "nothing writes to the ledger after a higher epoch has", epochsRise},
		{"L1", "everything is answered in the end", nothingStuck},
		{"L2", "every bridge is ready in the end", allReady},
		{"L3", "no process ends by itself", nobodyDeserts},
		{"L4", "a tenth of the commands is done at least, also on a slow machine, so that the rest means something", someDone},
	}
}

// lateLimit is how many late calls a process may make that was frozen between the last look at its lease and the writing of the request, which
// nothing can prevent: bridge/lease/DESIGN.md.
const lateLimit = 2

// study is a history with what the rules look up in it, and what they count.
type study struct {
	*history
	seqs    map[string][]uint64 // event key → where it is stored
	at      map[uint64]stored   // events by sequence
	order   map[string]uint64   // command id → its first sequence
	results map[string][]result
	calls   map[string][]call // command id → calls that were carried out
	kinds   map[string]sent
	claims  map[string][]entry   // command id → its records in the ledger
	begun   map[uint64]time.Time // epoch → its first record that is left
	counted map[string]int
}

func newStudy(h *history) *study {
	s := &study{
		history: h, seqs: map[string][]uint64{}, at: map[uint64]stored{}, order: map[string]uint64{}, results: map[string][]result{},
		calls: map[string][]call{}, kinds: map[string]sent{}, claims: map[string][]entry{}, begun: map[uint64]time.Time{}, counted: map[string]int{},
	}
	for _, e := range h.Events {
		s.seqs[e.Key] = append(s.seqs[e.Key], e.Seq)
		s.at[e.Seq] = e
	}
	for _, c := range h.Commands {
		if _, known := s.order[c.Key]; !known {
			s.order[c.Key] = c.Seq
		}
	}
	for _, e := range h.Ledger {
		s.claims[e.ID] = append(s.claims[e.ID], e)
		if at, known := s.begun[e.Epoch]; !known || e.Time.Before(at) {
			s.begun[e.Epoch] = e.Time
		}
	}
	for _, r := range h.Results {
		s.results[r.ID] = append(s.results[r.ID], r)
	}
	byConversation := map[string]string{}
	for _, c := range h.Sent {
		s.kinds[c.ID] = c
		if c.Conversation != 0 {
			byConversation[fmt.Sprint(c.Kind, c.Conversation)] = c.ID
		}
	}
	for i, c := range h.Calls {
		if c.ID == "" {
			h.Calls[i].ID = byConversation[fmt.Sprint(c.Op, c.Conv)]
		}
		if c.CarriedOut {
			s.calls[h.Calls[i].ID] = append(s.calls[h.Calls[i].ID], h.Calls[i])
		}
	}
	return s
}

// violation is a broken rule.
type violation struct {
	rule
	evidence []string
}

// judge holds a history against all rules.
func judge(h *history) (found []violation, counted map[string]int) {
	s := newStudy(h)
	for _, r := range rules() {
		if evidence := r.check(s); len(evidence) > 0 {
			found = append(found, violation{r, evidence})
		}
	}
	return found, s.counted
}

// accepted returns the first acceptance of each event, in the order of being answered.
func (s *study) accepted() []webhook {
	first := map[string]webhook{}
	for _, w := range s.Webhooks {
		if known, ok := first[w.Key]; w.accepted() && (!ok || w.Answered.Before(known.Answered)) {
			first[w.Key] = w
		}
	}
	all := make([]webhook, 0, len(first))
	for _, w := range first {
		all = append(all, w)
	}
	slices.SortFunc(all, func(a, b webhook) int { return a.Answered.Compare(b.Answered) })
	return all
}

func eventsOnce(s *study) (broken []string) {
	for _, w := range s.accepted() {
		s.counted["events accepted"]++
		at := s.seqs[w.Key]
		if len(at) != 1 {
			broken = append(broken, fmt.Sprintf("%s: accepted by %s at %s, in the stream %d times: %v", w.Key, w.Bridge, clock(w.Answered), len(at), at))
			continue
		}
		if e := s.at[at[0]]; e.Body != w.Body {
			broken = append(broken, fmt.Sprintf("%s: accepted with body %s, stored at %d with body %s", w.Key, w.Body, e.Seq, e.Body))
		}
	}
	return broken
}

// offers is how an event was offered: it may have been stored by each bridge that it was offered to, whoever answered.
type offers struct {
	first time.Time
	to    map[string]bool
}

func (s *study) offers() map[string]*offers {
	all := map[string]*offers{}
	for _, w := range s.Webhooks {
		o := all[w.Key]
		if o == nil {
			o = &offers{first: w.Sent, to: map[string]bool{}}
			all[w.Key] = o
		}
		if w.Sent.Before(o.first) {
			o.first = w.Sent
		}
		o.to[w.Bridge] = true
	}
	return all
}

// taken is an accepted event with what became of it.
type taken struct {
	webhook
	offers
	stored
}

// eventsInOrder leaves out one case: an event that waited in the spool of its bridge, while a later one was offered to the other bridge, too. If
// that one reaches the bus first, neither bridge can know of the other.
func eventsInOrder(s *study) (broken []string) {
	conversations, offered := map[int64][]taken{}, s.offers()
	for _, w := range s.accepted() {
		if at := s.seqs[w.Key]; len(at) == 1 && w.Conversation != 0 {
			conversations[w.Conversation] = append(conversations[w.Conversation], taken{w, *offered[w.Key], s.at[at[0]]})
		}
	}
	for _, conversation := range sorted(conversations) {
		broken = append(broken, s.inOrder(conversations[conversation])...)
	}
	return broken
}

// inOrder takes the events of a conversation in the order of being answered.
func (s *study) inOrder(all []taken) (broken []string) {
	for i, a := range all {
		waited, alone := a.Time.After(a.Answered), true
		for _, b := range all[i+1:] {
			switch {
			case !b.first.After(a.Answered) || a.Seq < b.Seq:
			case waited && (len(b.to) > 1 || !b.to[a.Bridge]):
				alone = false
			default:
				broken = append(broken, fmt.Sprintf("conversation %d: %s was answered by %s at %s, %s was offered after that, at %s, and answered by %s; they are stored at %d (%s) and %d (%s)",
					a.Conversation, a.webhook.Key, a.Bridge, clock(a.Answered), b.webhook.Key, clock(b.first), b.Bridge, a.Seq, clock(a.Time), b.Seq, clock(b.Time)))
			}
		}
		if !alone {
			s.counted["events that waited in the spool of one bridge and were overtaken through the other"]++
		}
	}
	return broken
}

func eventsNotMadeUp(s *study) (broken []string) {
	honest, bodies := map[string]bool{}, map[string]bool{}
	for _, w := range s.Webhooks {
		honest[w.Key] = honest[w.Key] || w.Status != 401
		bodies[w.Body] = true
	}
	for _, e := range s.Events {
		if !honest[e.Key] || !bodies[e.Body] {
			broken = append(broken, fmt.Sprintf("%s, body %s, at %d", e.Key, e.Body, e.Seq))
		}
	}
	return broken
}

func malformedKept(s *study) (broken []string) {
	kept := map[string]int{}
	for _, l := range s.Letters {
		if l.ID == "" {
			kept[l.Body]++
		}
	}
	seen := map[string]bool{}
	for _, w := range s.Webhooks {
		if w.Status != 400 || seen[w.Body] {
			continue
		}
		seen[w.Body] = true
		s.counted["malformed bodies"]++
		if kept[w.Body] != 1 {
			broken = append(broken, fmt.Sprintf("body %s: answered 400 by %s at %s, %d dead letters", w.Body, w.Bridge, clock(w.Answered), kept[w.Body]))
		}
	}
	return broken
}

func clock(t time.Time) string { return t.Format("15:04:05.000") }

func sorted[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
