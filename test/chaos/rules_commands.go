package main

import (
	"fmt"
	"slices"
	"time"
)

// Operations of calls, and kinds of commands, by the names that both share.
const (
	messageSend         = "message.send"
	conversationStart   = "conversation.start"
	conversationHandoff = "conversation.handoff"
	conversationFinish  = "conversation.finish"
	contactCreate       = "contact.create"
)

func commandsKept(s *study) (broken []string) {
	for _, c := range s.Sent {
		s.counted["commands"]++
		if s.order[c.ID] == 0 {
			broken = append(broken, c.ID)
		}
	}
	return broken
}

func oneResult(s *study) (broken []string) {
	for _, c := range s.Sent {
		all := s.results[c.ID]
		if len(all) == 1 {
			s.counted["results: "+all[0].Status]++
			continue
		}
		broken = append(broken, fmt.Sprintf("%s (%s, stored at %d) has %d results: %v", c.ID, c.Kind, s.order[c.ID], len(all), all))
	}
	for id, all := range s.results {
		if _, known := s.kinds[id]; !known {
			broken = append(broken, fmt.Sprintf("nobody sent %s: %v", id, all))
		}
	}
	return broken
}

// repeatable are the calls that may be made twice, because a second one changes nothing.
func repeatable(op string) bool { return op == conversationHandoff || op == conversationFinish }

func atMostOnce(s *study) (broken []string) {
	for _, id := range sorted(s.calls) {
		count := map[string]int{}
		for _, c := range s.calls[id] {
			s.counted["calls carried out"]++
			count[c.Op]++
		}
		for _, op := range sorted(count) {
			if count[op] > 1 && !repeatable(op) {
				broken = append(broken, fmt.Sprintf("%s: %s was carried out %d times: %s", id, op, count[op], s.story(id)))
			}
		}
	}
	return broken
}

// own returns the calls that do what a command is for: the contact of a conversation.start does not count.
func (s *study) own(id string) (all []call) {
	for _, c := range s.calls[id] {
		if c.Op == s.kinds[id].Kind {
			all = append(all, c)
		}
	}
	return all
}

func statusIsTrue(s *study) (broken []string) {
	for _, c := range s.Sent {
		if len(s.results[c.ID]) != 1 {
			continue
		}
		r, times := s.results[c.ID][0], len(s.own(c.ID))
		switch {
		case r.Status == "done" && times == 0, (r.Status == "invalid" || r.Status == "refused" || r.Status == "exhausted" || r.Status == "expired") && times > 0:
			broken = append(broken, fmt.Sprintf("%s is %s and was carried out %d times: %s", c.ID, r.Status, times, s.story(c.ID)))
		case r.Status == "unknown" && times > 0:
			s.counted["results: unknown, and carried out"]++
		case r.Status != "unknown" && r.Status != "done" && r.Status != "invalid" && r.Status != "refused" && r.Status != "exhausted" && r.Status != "expired":
			broken = append(broken, fmt.Sprintf("%s has the status %q", c.ID, r.Status))
		}
	}
	return broken
}

// late reports whether a call came when the command had its result already.
func (s *study) late(c call) bool {
	all := s.results[c.ID]
	return len(all) > 0 && c.Time.After(all[0].Time)
}

// underway is how long a call may take from the bridge to the API, through a proxy that is slow.
const underway = 250 * time.Millisecond

// overdue reports whether a call came under a claim of an epoch after which another one had begun.
func (s *study) overdue(c call) bool {
	var own entry
	for _, e := range s.claims[c.ID] {
		if !e.Time.After(c.Time) {
			own = e
		}
	}
	if own.Epoch == 0 {
		return false
	}
	for epoch, at := range s.begun {
		if epoch > own.Epoch && c.Time.After(at.Add(underway)) {
			return true
		}
	}
	return false
}

// callsInOrder compares the first call of each command. Late ones are the business of noLateCall.
func callsInOrder(s *study) (broken []string) {
	lanes := map[string][]sent{}
	for _, c := range s.Sent {
		if c.Lane != "" && s.order[c.ID] != 0 {
			lanes[c.Lane] = append(lanes[c.Lane], c)
		}
	}
	for _, lane := range sorted(lanes) {
		all := lanes[lane]
		slices.SortFunc(all, func(a, b sent) int { return int(s.order[a.ID]) - int(s.order[b.ID]) })
		last, before := int64(0), ""
		for _, c := range all {
			own := s.own(c.ID)
			if len(own) == 0 || s.late(own[0]) {
				continue
			}
			if own[0].Seq < last {
				broken = append(broken, fmt.Sprintf("%s: %s, stored at %d, was carried out before %s, stored at %d: %s; %s",
					lane, c.ID, s.order[c.ID], before, s.order[before], s.story(c.ID), s.story(before)))
			}
			last, before = own[0].Seq, c.ID
		}
	}
	return broken
}

// noLateCall finds calls for commands that have their result already, and calls by a bridge whose successor is at work. A few of them are excused for a bridge that has just been woken.
func noLateCall(s *study) (broken []string) {
	woken := map[int][]string{}
	for _, c := range s.Calls {
		if c.ID == "" || !s.late(c) && !s.overdue(c) {
			continue
		}
		at := slices.IndexFunc(s.Freezes, func(f freeze) bool { return c.Time.After(f.Till) && c.Time.Before(f.Till.Add(5*time.Second)) })
		evidence := fmt.Sprintf("%s at %s: %s", c.ID, clock(c.Time), s.story(c.ID))
		if at < 0 {
			broken = append(broken, evidence)
			continue
		}
		s.counted["late calls of woken processes"]++
		woken[at] = append(woken[at], evidence)
	}
	for _, at := range sorted(woken) {
		if len(woken[at]) > lateLimit {
			f := s.Freezes[at]
			broken = append(broken, fmt.Sprintf("%d calls by %s, which was frozen from %s to %s", len(woken[at]), f.Bridge, clock(f.From), clock(f.Till)))
			broken = append(broken, woken[at]...)
		}
	}
	return broken
}

func letters(s *study) (broken []string) {
	found := map[string]int{}
	for _, l := range s.Letters {
		if l.ID == "" {
			continue
		}
		found[l.ID]++
		if all := s.results[l.ID]; len(all) == 1 && all[0].Status != l.Status {
			broken = append(broken, fmt.Sprintf("%s: the result says %s, the dead letter %s", l.ID, all[0].Status, l.Status))
		}
		if _, known := s.kinds[l.ID]; !known {
			broken = append(broken, fmt.Sprintf("nobody sent %s, and it has a dead letter", l.ID))
		}
	}
	for _, c := range s.Sent {
		if len(s.results[c.ID]) != 1 {
			continue
		}
		status, want := s.results[c.ID][0].Status, 1
		if status == "done" || status == "expired" {
			want = 0
		}
		if found[c.ID] != want {
			broken = append(broken, fmt.Sprintf("%s is %s and has %d dead letters", c.ID, status, found[c.ID]))
		}
	}
	return broken
}

// epochsRise looks at each order key by itself, because the ledger changes to a new epoch in parts, and a key belongs to one.
func epochsRise(s *study) (broken []string) {
	highest := map[string]entry{}
	epochs := map[uint64]bool{}
	for _, e := range s.Ledger {
		epochs[e.Epoch] = true
		if before := highest[e.Key]; e.Epoch < before.Epoch {
			broken = append(broken, fmt.Sprintf("%s: epoch %d wrote %s at %d, after epoch %d had written %s at %d", e.Key, e.Epoch, e.ID, e.Seq, before.Epoch, before.ID, before.Seq))
			continue
		}
		highest[e.Key] = e
	}
	s.counted["epochs that wrote"] = len(epochs)
	return broken
}

func nothingStuck(s *study) []string { return s.Waiting }

func allReady(s *study) (broken []string) {
	for _, r := range s.Ready {
		if r.Status != 200 {
			broken = append(broken, fmt.Sprintf("%s: %d %s", r.Bridge, r.Status, r.Body))
		}
	}
	return broken
}

func nobodyDeserts(s *study) []string { return s.Deserted }

func someDone(s *study) []string {
	done := 0
	for _, all := range s.results {
		if all[0].Status == "done" {
			done++
		}
	}
	if 10*done >= len(s.Sent) {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d commands are done", done, len(s.Sent))}
}

// story is what happened to a command, in order of time.
func (s *study) story(id string) string {
	type moment struct {
		at   time.Time
		what string
	}
	var all []moment
	for _, c := range s.Commands {
		if c.Key == id {
			all = append(all, moment{c.Time, fmt.Sprintf("stored at %d", c.Seq)})
		}
	}
	for _, c := range s.Calls {
		if c.ID == id {
			all = append(all, moment{c.Time, fmt.Sprintf("call %d of %s (carried out: %t)", c.Seq, c.Op, c.CarriedOut)})
		}
	}
	for _, r := range s.results[id] {
		all = append(all, moment{r.Time, "result " + r.Status + " " + r.Reason})
	}
	byTime := func(a, b moment) int { return a.at.Compare(b.at) }
	slices.SortStableFunc(all, byTime)
	for _, f := range s.Freezes {
		if len(all) > 0 && f.Till.After(all[0].at) && f.From.Before(all[len(all)-1].at) {
			all = append(all, moment{f.From, f.Bridge + " frozen"}, moment{f.Till, f.Bridge + " woken"})
		}
	}
	slices.SortStableFunc(all, byTime)
	text := ""
	for _, m := range all {
		text += " " + clock(m.at) + " " + m.what + ";"
	}
	return text
}
