package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

func TestACommandIDIsCarriedOutOnceAlsoAfterARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	body := fmt.Sprintf(`{"conversation_id":%d,"content":"once"}`, id)
	b.command("message.send", "same", body)
	first := b.said("same", "done", "")
	b.command("message.send", "same", body)
	again := func(b *bot) {
		t.Helper()
		inbox := b.listen("_INBOX.again")
		// Another bus header for the same id: the stream's own memory of ids does not help here, as it does not after its window.
		b.publish("cx.cmd.message.send", strings.Replace(body, "once", "twice", 1), "ce-id", "same", "Cx-Reply-To", "_INBOX.again")
		m, err := inbox.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		got := checkResult(t, m, "message.send", "same")
		if got.FinishedAt != first.FinishedAt || string(got.MessageID) != string(first.MessageID) || got.Status != "done" {
			t.Errorf("the repeat is answered %+v; the first was %+v", got, first)
		}
	}
	again(b)
	r.stop()
	b = w.start().bot()
	again(b)
	b.command("message.send", "same", body)
	b.say("after", id, "after")
	b.said("after", "done", "")
	w.wantMessages(id, "once", "after")
	if n := len(w.sim.Journal()); n != 2 {
		t.Errorf("%d calls of the API; want 2", n)
	}
	b.oneResultEach(2)
	b.letters(0)
}

func TestACommandIsNotLostInARestart(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	texts := []string{"one", "two", "three"}
	for _, text := range texts {
		b.say(text, id, text)
	}
	w.called("the first attempt", func(j cxsim.Journal) bool { return len(j) > 0 })
	r.stop()
	w.sim.ClearFaults()
	b = w.start().bot()
	natstest.Eventually(t, "the results", func() bool { return b.count("CX_RESULTS") == len(texts) })
	w.wantMessages(id, texts...)
	b.oneResultEach(len(texts))
	b.letters(0)
}

// lost are the ways in which the answer to a call that was carried out gets lost.
func lost() []cxsim.Fault {
	return []cxsim.Fault{
		{Effect: cxsim.EffectLost, Status: 500}, {Effect: cxsim.EffectLost, Status: 502}, {Effect: cxsim.EffectLost, Status: 504},
		{Effect: cxsim.EffectClose}, {Effect: cxsim.EffectReset}, {Effect: cxsim.EffectHang}, {Effect: cxsim.EffectHang, Name: "hang and late event"},
	}
}

func TestALostAnswerIsSettledByTheEchoAndNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) {
		c.CX.Timeout = 3 * time.Second // for the calls that hang
		c.Commands.OnUnknown = "resend"
	})
	b := w.start().bot()
	var ids []int64
	for i, fault := range lost() {
		id := w.conversation(fmt.Sprint("c", i))
		fault.Op, fault.Conversation, fault.Times = cxsim.OpSendMessage, id, 1
		if fault.Name != "" {
			w.sim.Fault(cxsim.Fault{Op: cxsim.OpDelivery, Conversation: id, Effect: cxsim.EffectDelay, Delay: 500 * time.Millisecond})
		}
		w.sim.Fault(fault)
		ids = append(ids, id)
	}
	for i, id := range ids {
		b.say(fmt.Sprint("lost-", i), id, fmt.Sprintf("*text* %d\n", i))
		b.say(fmt.Sprint("next-", i), id, "next")
	}
	for i, id := range ids {
		r := b.said(fmt.Sprint("lost-", i), "done", "")
		calls := w.sim.Journal().Messages(id)
		if len(calls) == 0 || number(t, r.MessageID) != calls[0].MessageID || r.Attempts < 1 {
			t.Errorf("%+v: result %+v, calls %+v", lost()[i], r, calls)
		}
		b.said(fmt.Sprint("next-", i), "done", "")
		w.wantMessages(id, fmt.Sprintf("*text* %d\n", i), "next")
	}
	b.oneResultEach(2 * len(ids))
	b.letters(0)
}

func TestAnAnswerThatIsCutOrNoUseIsStillOneMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	effects := []cxsim.Effect{cxsim.EffectCut, cxsim.EffectMalformed, cxsim.EffectEmpty, cxsim.EffectWebhookFirst}
	var ids []int64
	for i, effect := range effects {
		id := w.conversation(fmt.Sprint("c", i))
		w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: id, Times: 1, Effect: effect})
		ids = append(ids, id)
	}
	for i, id := range ids {
		b.say(fmt.Sprint("id-", i), id, "text")
	}
	for i, id := range ids {
		b.said(fmt.Sprint("id-", i), "done", "")
		w.wantMessages(id, "text")
	}
	b.letters(0)
}

func TestWithoutAnEchoTheOutcomeIsUnknownAndNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Commands.EchoWait = 300 * time.Millisecond })
	b := w.start().bot()
	dropped, paused, never := w.conversation("ann"), w.conversation("bea"), w.conversation("cat")
	w.delivered()
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpDelivery, Conversation: dropped, Effect: cxsim.EffectDrop})
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: dropped, Effect: cxsim.EffectLost, Times: 1})
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: paused, Effect: cxsim.EffectReset, Times: 1})
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: never, Effect: cxsim.EffectCloseBefore, Times: 1})
	w.sim.PauseDeliveries()
	b.say("dropped", dropped, "a")
	b.say("paused", paused, "a")
	b.say("never", never, "a")
	for _, id := range []string{"dropped", "paused", "never"} {
		r := b.said(id, "unknown", "outcome_unknown")
		m := b.letter(id)
		if m.Header.Get("Cx-Status") != "unknown" || m.Header.Get("Cx-Reason") != "outcome_unknown" || string(r.MessageID) != "null" || r.Attempts != 1 {
			t.Errorf("%s: %+v, %v", id, r, m.Header)
		}
	}
	w.sim.ResumeDeliveries()
	w.delivered()
	for _, id := range []int64{dropped, paused, never} {
		b.say(fmt.Sprint("next-", id), id, "b")
		b.said(fmt.Sprint("next-", id), "done", "")
	}
	w.wantMessages(dropped, "a", "b")
	w.wantMessages(paused, "a", "b")
	w.wantMessages(never, "b")
	b.oneResultEach(6)
	b.letters(3)
}

func TestOnUnknownResendSendsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) {
		c.Commands.EchoWait, c.Commands.OnUnknown = 200*time.Millisecond, "resend"
	})
	b := w.start().bot()
	id := w.conversation("ann")
	for _, effect := range []cxsim.Effect{cxsim.EffectCloseBefore, cxsim.EffectResetBefore} {
		w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Effect: effect, Times: 1})
	}
	b.say("first", id, "a")
	b.say("second", id, "b")
	if r := b.said("first", "done", ""); r.Attempts != 3 {
		t.Errorf("%+v", r)
	}
	b.said("second", "done", "")
	w.wantMessages(id, "a", "b")
	b.letters(0)
}

func TestTwoEqualTextsInARowAreTwoMessagesAndTwoResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	for i, effects := range [][]cxsim.Effect{
		{cxsim.EffectLost, ""}, {"", cxsim.EffectLost}, {cxsim.EffectLost, cxsim.EffectReset}, {cxsim.EffectClose, cxsim.EffectWebhookFirst},
	} {
		id := w.conversation(fmt.Sprint("c", i))
		for n, effect := range effects {
			if effect != "" { // rules count what they meet, so that the second one skips nothing that the first one took
				w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Conversation: id, Effect: effect, Times: 1, Skip: skipped(effects[:n])})
			}
		}
		b.say(fmt.Sprint("first-", i), id, "yes")
		b.say(fmt.Sprint("second-", i), id, "yes")
		one, two := b.said(fmt.Sprint("first-", i), "done", ""), b.said(fmt.Sprint("second-", i), "done", "")
		calls := w.sim.Journal().Messages(id)
		if len(calls) != 2 {
			t.Fatalf("%v: %d messages", effects, len(calls))
		}
		if number(t, one.MessageID) != calls[0].MessageID || number(t, two.MessageID) != calls[1].MessageID {
			t.Errorf("%v: results name %s and %s; the messages are %d and %d", effects, one.MessageID, two.MessageID, calls[0].MessageID, calls[1].MessageID)
		}
	}
	b.letters(0)
}

// skipped is how many calls a rule lets through that comes after others: those that no other rule takes.
func skipped(before []cxsim.Effect) int {
	n := 0
	for _, effect := range before {
		if effect == "" {
			n++
		}
	}
	return n
}

func TestWhatTheAPIRefusesIsADeadLetterAndTheNextCommandGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	cases := []struct {
		status int
		reason string
	}{{400, "rejected"}, {401, "unauthorized"}, {403, "forbidden"}, {404, "not_found"}, {409, "rejected"}, {422, "rejected"}}
	for _, c := range cases {
		w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Contains: fmt.Sprintf("status %d", c.status), Effect: cxsim.EffectStatus, Status: c.status})
		b.say(fmt.Sprint("id-", c.status), id, fmt.Sprintf("status %d", c.status), "X-Own", "kept")
	}
	b.say("last", id, "last")
	for _, c := range cases {
		name := fmt.Sprint("id-", c.status)
		r := b.said(name, "refused", c.reason)
		m := b.letter(name)
		if r.HTTPStatus != c.status || r.Attempts < 1 || r.Detail == "" || m.Subject != "cx.dead.cmd.message.send" || m.Header.Get("X-Own") != "kept" {
			t.Errorf("%+v, %v", r, m.Header)
		}
		checkHistory(t, m, r)
	}
	b.said("last", "done", "")
	w.wantMessages(id, "last")
	b.letters(len(cases))
}

// checkHistory compares the history of a dead letter with the result.
func checkHistory(t *testing.T, m *jetstream.RawStreamMsg, r result) {
	t.Helper()
	var history []struct {
		Time   time.Time `json:"time"`
		Status int       `json:"status"`
		Reason string    `json:"reason"`
		Detail string    `json:"detail"`
	}
	if err := json.Unmarshal([]byte(m.Header.Get("Cx-History")), &history); err != nil {
		t.Fatalf("Cx-History %q: %v", m.Header.Get("Cx-History"), err)
	}
	if n, err := strconv.Atoi(m.Header.Get("Cx-Attempts")); err != nil || n != r.Attempts || len(history) != min(n, 100) || n == 0 {
		t.Errorf("Cx-Attempts %s, %d in the history, %d in the result: %v", m.Header.Get("Cx-Attempts"), len(history), r.Attempts, err)
		return
	}
	if last := history[len(history)-1]; last.Status != r.HTTPStatus || last.Reason != r.Reason || last.Time.IsZero() || last.Detail == "" {
		t.Errorf("the last attempt was %+v; the result is %+v", last, r)
	}
}

func TestWhatIsRetriedInVainIsExhausted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{}, func(c *bridge.Config) { c.Commands.RetryFor = 200 * time.Millisecond })
	b := w.start().bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Contains: "in vain", Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	b.say("vain", id, "in vain")
	b.say("next", id, "next")
	r := b.said("vain", "exhausted", "unavailable")
	if calls := len(w.sim.Journal().Calls(cxsim.OpSendMessage).Conversation(id)); r.HTTPStatus != 503 || r.Attempts < 1 || r.Attempts > calls {
		t.Errorf("%+v, %d calls", r, calls)
	}
	checkHistory(t, b.letter("vain"), r)
	b.said("next", "done", "")
	w.wantMessages(id, "next")
	b.letters(1)
}

func TestARefusedConnectionIsRetried(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	r := w.start()
	b := r.bot()
	id := w.conversation("ann")
	address := w.sim.Addr()
	w.sim.Stop()
	b.say("meanwhile", id, "a")
	b.say("later", id, "b")
	natstest.Eventually(t, "an attempt that fails", func() bool {
		m := request(t, http.MethodGet, "http://"+r.AdminAddr().String()+"/metrics", nil)
		return regexp.MustCompile(`(?m)^cxbridge_api_calls_total\{.*message\.send.*\} [1-9]`).MatchString(m.body)
	})
	if _, err := w.sim.Start(address); err != nil {
		t.Fatal(err)
	}
	b.said("meanwhile", "done", "")
	b.said("later", "done", "")
	w.wantMessages(id, "a", "b")
	b.letters(0)
}

func TestHandoffAndFinishAreRepeatedAfterALostAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{StrictStatus: true})
	b := w.start().bot()
	for i, c := range []struct {
		kind   string
		op     cxsim.Operation
		effect cxsim.Effect
	}{
		{"conversation.handoff", cxsim.OpDeliverToAgent, cxsim.EffectLost},
		{"conversation.finish", cxsim.OpFinish, cxsim.EffectReset},
		{"conversation.finish", cxsim.OpFinish, cxsim.EffectCloseBefore},
	} {
		id := w.conversation(fmt.Sprint("c", i))
		w.sim.Fault(cxsim.Fault{Op: c.op, Conversation: id, Effect: c.effect, Times: 1})
		b.command(c.kind, fmt.Sprint("id-", i), fmt.Sprintf(`{"conversation_id":%d}`, id))
		if r := b.wait(c.kind, fmt.Sprint("id-", i)); r.Status != "done" || r.Attempts != 2 {
			t.Errorf("%s after %s: %+v", c.kind, c.effect, r)
		}
		if n := len(w.sim.Journal().Calls(c.op).Conversation(id).CarriedOut()); n != 1 {
			t.Errorf("%s after %s: carried out %d times", c.kind, c.effect, n)
		}
	}
	b.letters(0)
}

func TestAnExpiredCommandIsNotCarriedOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id, failing := w.conversation("ann"), w.conversation("bea")
	w.sim.Fault(cxsim.Fault{Conversation: failing, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	b.say("past", id, "too late", "Cx-Expires-At", "2001-02-03T04:05:06Z")
	b.say("soon", failing, "too late", "Cx-Expires-At", time.Now().Add(400*time.Millisecond).Format(time.RFC3339Nano))
	b.say("future", id, "in time", "Cx-Expires-At", time.Now().Add(24*time.Hour).Format(time.RFC3339))
	if r := b.said("past", "expired", "expired"); r.Attempts != 0 || r.Detail == "" {
		t.Errorf("%+v", r)
	}
	b.said("soon", "expired", "expired")
	b.said("future", "done", "")
	w.wantMessages(id, "in time")
	w.wantMessages(failing)
	b.letters(0)
	b.oneResultEach(3)
}

func TestPreconditionsAreHeldAgainstWhatHappenedMeanwhile(t *testing.T) {
	t.Parallel()
	const both = "still-with-bot, no-newer-customer-message"
	say := func(_ *bot, w *world, id int64) error { _, err := w.sim.CustomerSays(id, "wait!"); return err }
	agent := func(_ *bot, w *world, id int64) error { _, err := w.sim.AgentSays(id, "I am Bo"); return err }
	pickUp := func(_ *bot, w *world, id int64) error { return w.sim.AgentPicksUp(id) }
	nothing := func(*bot, *world, int64) error { return nil }
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	cases := []struct {
		onlyIf, what  string
		before, while func(*bot, *world, int64) error
		status        string
	}{
		{"no-newer-customer-message", "the customer wrote", nothing, say, "expired"},
		{"no-newer-customer-message", "the customer wrote before", say, nothing, "done"},
		{"no-newer-customer-message", "an agent wrote", nothing, agent, "done"},
		{"still-with-bot", "an agent wrote", nothing, agent, "expired"},
		{"still-with-bot", "an agent picked it up", nothing, pickUp, "expired"},
		{"still-with-bot", "the customer wrote", nothing, say, "done"},
		{both, "nothing", nothing, nothing, "done"},
		{both, "the customer wrote", nothing, say, "expired"},
		{both, "an agent wrote", nothing, agent, "expired"},
		{"", "both wrote", say, agent, "done"},
	}
	for i, c := range cases {
		id, name := w.conversation(fmt.Sprint("c", i)), fmt.Sprint("if-", i)
		if err := c.before(b, w, id); err != nil {
			t.Fatal(err)
		}
		w.delivered()
		w.sim.Fault(cxsim.Fault{Conversation: id, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
		var headers []string
		if c.onlyIf != "" {
			headers = []string{"Cx-Only-If", c.onlyIf}
		}
		b.say(name, id, "answer", headers...)
		w.called("an attempt", func(j cxsim.Journal) bool { return len(j.Conversation(id)) > 0 })
		if err := c.while(b, w, id); err != nil {
			t.Fatal(err)
		}
		w.delivered()
		w.sim.ClearFaults()
		reason := map[string]string{"expired": "expired"}[c.status]
		if r := b.said(name, c.status, reason); c.status == "expired" && r.Detail == "" {
			t.Errorf("%s, %s: %+v", c.onlyIf, c.what, r)
		}
		if got := len(w.sim.Journal().Messages(id)); (got == 1) != (c.status == "done") {
			t.Errorf("%s, %s: %d messages", c.onlyIf, c.what, got)
		}
	}
	b.letters(0)
}

func TestAfterAHandoffAnAnswerOfTheBotIsNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, cxsim.Options{})
	b := w.start().bot()
	id := w.conversation("ann")
	w.sim.Fault(cxsim.Fault{Op: cxsim.OpDeliverToAgent, Effect: cxsim.EffectStatus, Status: http.StatusServiceUnavailable})
	b.command("conversation.handoff", "handoff", fmt.Sprintf(`{"conversation_id":"%d"}`, id))
	b.say("late", id, "one moment", "Cx-Only-If", "still-with-bot")
	w.sim.ClearFaults()
	if r := b.wait("conversation.handoff", "handoff"); r.Status != "done" {
		t.Errorf("%+v", r)
	}
	b.said("late", "expired", "expired")
	w.wantMessages(id)
}
