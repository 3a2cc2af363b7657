package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// moment returns a time so many milliseconds after the beginning of a written history.
func moment(ms int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(ms)) }

// sound is a history that keeps all rules: three events (one of them no event at all), and a command of each status.
func sound() *history {
	return &history{
		Webhooks: []webhook{
			{Key: "message_created/1", Conversation: 7, Body: "a", Sent: moment(0), Answered: moment(10), Status: 200, Bridge: "bridge-1"},
			{Key: "message_created/2", Conversation: 7, Body: "b", Sent: moment(20), Answered: moment(30), Status: 0, Bridge: "bridge-1"},
			{Key: "message_created/2", Conversation: 7, Body: "b", Sent: moment(31), Answered: moment(40), Status: 200, Bridge: "bridge-2"},
			{Key: "malformed/c", Body: "c", Sent: moment(50), Answered: moment(60), Status: 400, Bridge: "bridge-2"},
			{Key: "message_created/3", Conversation: 7, Body: "d", Sent: moment(70), Answered: moment(75), Status: 401, Bridge: "bridge-2"},
		},
		Events: []stored{{Seq: 1, Time: moment(5), Key: "message_created/1", Body: "a"}, {Seq: 2, Time: moment(35), Key: "message_created/2", Body: "b"}},
		Sent: []sent{
			{ID: "k1-1", Kind: messageSend, Lane: "conversation 7"}, {ID: "k1-2", Kind: messageSend, Lane: "conversation 7"},
			{ID: "k1-3", Kind: messageSend, Lane: "conversation 7"}, {ID: "k2-1", Kind: conversationHandoff, Lane: "conversation 8", Conversation: 8},
			{ID: "k3-1", Kind: conversationStart}, {ID: "k4-1", Kind: messageSend, Lane: "conversation 9"},
		},
		Commands: []stored{
			{Seq: 1, Time: moment(100), Key: "k1-1"}, {Seq: 2, Time: moment(101), Key: "k1-2"}, {Seq: 3, Time: moment(102), Key: "k1-3"},
			{Seq: 4, Time: moment(103), Key: "k2-1"}, {Seq: 5, Time: moment(104), Key: "k3-1"}, {Seq: 6, Time: moment(105), Key: "k4-1"}, {Seq: 7, Time: moment(106), Key: "k1-1"},
		},
		Calls: []call{
			{Seq: 1, Time: moment(200), Op: messageSend, ID: "k1-1", Conv: 7, CarriedOut: true}, {Seq: 2, Time: moment(210), Op: messageSend, ID: "k1-2", Conv: 7},
			{Seq: 3, Time: moment(220), Op: messageSend, ID: "k1-3", Conv: 7, CarriedOut: true}, {Seq: 4, Time: moment(230), Op: conversationHandoff, Conv: 8, CarriedOut: true},
			{Seq: 5, Time: moment(240), Op: conversationHandoff, Conv: 8, CarriedOut: true}, {Seq: 6, Time: moment(250), Op: contactCreate, ID: "k3-1", CarriedOut: true},
			{Seq: 7, Time: moment(260), Op: conversationStart, ID: "k3-1", CarriedOut: true}, {Seq: 8, Time: moment(270), Op: messageSend, ID: "k4-1", Conv: 9, CarriedOut: true},
		},
		Results: []result{
			{ID: "k1-1", Status: "done", Time: moment(300)}, {ID: "k1-2", Status: "refused", Time: moment(301)}, {ID: "k1-3", Status: "done", Time: moment(302)},
			{ID: "k2-1", Status: "done", Time: moment(303)}, {ID: "k3-1", Status: "done", Time: moment(304)}, {ID: "k4-1", Status: "unknown", Time: moment(305)},
		},
		Letters: []letter{{ID: "k1-2", Status: "refused"}, {ID: "k4-1", Status: "unknown"}, {Body: "c"}},
		Ledger: []entry{
			{Seq: 1, Time: moment(-200), Key: "conversation/7", Epoch: 1, ID: "k1-1"}, {Seq: 2, Time: moment(299), Key: "conversation/7", Epoch: 3, ID: "k1-3"},
			{Seq: 3, Time: moment(225), Key: "conversation/8", Epoch: 1, ID: "k2-1"},
		},
		Ready: []readying{{Bridge: "bridge-1", Status: 200}, {Bridge: "bridge-2", Status: 200}},
	}
}

func TestASoundHistoryKeepsAllRules(t *testing.T) {
	found, counted := judge(sound())
	for _, v := range found {
		t.Errorf("%s: %v", v.name, v.evidence)
	}
	if counted["events accepted"] != 2 || counted["commands"] != 6 || counted["calls carried out"] != 7 {
		t.Errorf("counted %v", counted)
	}
}

// breach is a sound history in which one thing was broken, and the rules that have to notice.
type breach struct {
	what  string
	rules string
	do    func(h *history)
}

func breaches() []breach {
	return slices.Concat(eventBreaches(), commandBreaches(), otherBreaches())
}

func eventBreaches() []breach {
	return []breach{
		{"an accepted event is lost", "E1", func(h *history) { h.Events = h.Events[:1] }},
		{"an accepted event is stored twice", "E1", func(h *history) {
			h.Events = append(h.Events, stored{Seq: 9, Time: moment(36), Key: "message_created/2", Body: "b"})
		}},
		{"a body is changed", "E1 E3", func(h *history) { h.Events[1].Body = "x" }},
		{"events change places in one bridge", "E2", func(h *history) {
			h.Webhooks[1].Bridge, h.Webhooks[2].Bridge = "bridge-1", "bridge-1"
			h.Events[0].Seq, h.Events[0].Time = 3, moment(90)
		}},
		{"events change places between bridges, and none waited in a spool", "E2", func(h *history) { h.Events[0].Seq = 3 }},
		{"an event is made up", "E3", func(h *history) { h.Events = append(h.Events, stored{Seq: 3, Key: "message_created/99", Body: "a"}) }},
		{"an event with a bad signature is stored", "E3", func(h *history) {
			h.Events = append(h.Events, stored{Seq: 3, Key: "message_created/3", Body: "d"})
		}},
		{"a malformed body is not kept", "E4", func(h *history) { h.Letters = h.Letters[:2] }},
		{"a malformed body is kept twice", "E4", func(h *history) { h.Letters = append(h.Letters, letter{Body: "c"}) }},
	}
}

func commandBreaches() []breach {
	again := func(of int) func(h *history) {
		return func(h *history) {
			c := h.Calls[of]
			c.Seq, c.Time = 9, moment(290)
			h.Calls = append(h.Calls, c)
		}
	}
	return []breach{
		{"the bus forgets a command", "C1", func(h *history) { h.Commands = slices.Delete(h.Commands, 1, 2) }},
		{"a command has no result", "C2", func(h *history) { h.Results = h.Results[1:] }},
		{"a command has two results", "C2", func(h *history) { h.Results = append(h.Results, h.Results[0]) }},
		{"a result belongs to nobody", "C2", func(h *history) { h.Results = append(h.Results, result{ID: "k9-9", Status: "done"}) }},
		{"a message is sent twice", "C3", again(0)},
		{"an unknown one is sent twice", "C3", again(7)},
		{"a conversation is started twice", "C3", again(6)},
		{"something done was never carried out", "C4", func(h *history) { h.Calls[0].CarriedOut = false }},
		{"something refused was carried out", "C4", func(h *history) { h.Calls[1].CarriedOut = true }},
		{"a conversation.start is done, and only its contact is there", "C4", func(h *history) { h.Calls[6].CarriedOut = false }},
		{"a status that there is not", "C4 C7", func(h *history) { h.Results[0].Status = "perhaps" }},
		{"messages change places", "C5", func(h *history) { h.Calls[0].Seq, h.Calls[2].Seq = 3, 1 }},
		{"a call comes after the result", "C6", func(h *history) { h.Calls[7].Time = moment(400) }},
		{"a call comes when another bridge is at work", "C6", func(h *history) {
			h.Ledger = append(h.Ledger, entry{Seq: 4, Time: moment(-100), Key: "conversation/9", Epoch: 2, ID: "k4-1"})
		}},
		{"a woken bridge makes three calls after the results", "C6", func(h *history) {
			h.Freezes = []freeze{{Bridge: "bridge-1", From: moment(150), Till: moment(399)}}
			h.Calls[0].Time, h.Calls[2].Time, h.Calls[7].Time = moment(400), moment(400), moment(400)
		}},
		{"a dead letter is missing", "C7", func(h *history) { h.Letters = h.Letters[1:] }},
		{"there are two dead letters", "C7", func(h *history) { h.Letters = append(h.Letters, h.Letters[0]) }},
		{"what is done has a dead letter", "C7", func(h *history) { h.Letters = append(h.Letters, letter{ID: "k1-1", Status: "done"}) }},
		{"a dead letter says something else than the result", "C7", func(h *history) { h.Letters[0].Status = "exhausted" }},
	}
}

func otherBreaches() []breach {
	return []breach{
		{"a bridge writes after its successor", "C8", func(h *history) { h.Ledger[0].Epoch, h.Ledger[1].Epoch, h.Ledger[2].Epoch = 3, 1, 3 }},
		{"a command waits for ever", "L1", func(h *history) { h.Waiting = []string{"1 command has no result"} }},
		{"a bridge is not ready", "L2", func(h *history) { h.Ready[1].Status = 503 }},
		{"a bridge ends by itself", "L3", func(h *history) { h.Deserted = []string{"bridge-1"} }},
		{"nothing is done", "L4", func(h *history) {
			for i := range h.Results {
				h.Results[i].Status = "unknown"
			}
			h.Letters = []letter{{Body: "c"}}
			for _, r := range h.Results {
				h.Letters = append(h.Letters, letter{ID: r.ID, Status: r.Status})
			}
		}},
	}
}

// TestEachBreachIsCaughtByItsRule holds also that no other rule is broken by it, so that what is reported leads to the cause.
func TestEachBreachIsCaughtByItsRule(t *testing.T) {
	caught := map[string]bool{}
	for _, b := range breaches() {
		t.Run(b.what, func(t *testing.T) {
			h := sound()
			b.do(h)
			found, _ := judge(h)
			var names []string
			for _, v := range found {
				names, caught[v.name] = append(names, v.name), true
				if len(v.evidence) == 0 {
					t.Errorf("%s has no evidence", v.name)
				}
			}
			if got := strings.Join(names, " "); got != b.rules {
				t.Errorf("broken: %q, want %q", got, b.rules)
			}
		})
	}
	for _, r := range rules() {
		if !caught[r.name] {
			t.Errorf("no breach is caught by %s", r.name)
		}
	}
}

func TestWhatTheRulesExcuse(t *testing.T) {
	for what, do := range map[string]func(h *history){
		"an event that waited in a spool while a later one went through the other bridge": func(h *history) {
			h.Events[0].Seq, h.Events[0].Time = 3, moment(90)
		},
		"a call that a bridge was frozen in the middle of": func(h *history) {
			h.Freezes = []freeze{{Bridge: "bridge-1", From: moment(150), Till: moment(399)}}
			h.Calls[7].Time = moment(400)
		},
		"an event that is offered before the former one is answered": func(h *history) {
			h.Webhooks[0].Answered = moment(45)
			h.Events[0].Seq = 3
		},
	} {
		t.Run(what, func(t *testing.T) {
			h := sound()
			do(h)
			if found, _ := judge(h); len(found) > 0 {
				t.Errorf("broken: %s: %v", found[0].name, found[0].evidence)
			}
		})
	}
}
