//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// platform is the simulated CX that outlives the bridges of a test. It repeats webhooks for ever, so that every echo arrives in the end.
func platform(t *testing.T) (*cxsim.Sim, string) {
	t.Helper()
	sim := cxsim.New(cxsim.Options{WebhookAttempts: -1, RetryWait: 200 * time.Millisecond, MessagesPerMinute: -1})
	t.Cleanup(sim.Close)
	api, err := sim.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return sim, api
}

// bot sends numbered messages into conversations, each with a command id of its own.
type bot struct {
	js            jetstream.JetStream
	conversations []int64
	sent          map[int64]*atomic.Int64 // conversation → messages that are stored on the bus
}

func newBot(t *testing.T, sim *cxsim.Sim, js jetstream.JetStream, conversations int) *bot {
	t.Helper()
	b := &bot{js: js, sent: map[int64]*atomic.Int64{}}
	for i := range conversations {
		c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: fmt.Sprintf("ann%d@example.test", i), Text: "hi"})
		if err != nil {
			t.Fatal(err)
		}
		b.conversations = append(b.conversations, c.ID)
		b.sent[c.ID] = &atomic.Int64{}
	}
	return b
}

// write publishes commands for all conversations until ctx ends, each conversation's one after the other.
func (b *bot) write(ctx context.Context, every time.Duration) *sync.WaitGroup {
	var all sync.WaitGroup
	for _, conversation := range b.conversations {
		all.Go(func() {
			for n := 1; ctx.Err() == nil; n++ {
				b.publish(conversation, n)
				b.sent[conversation].Add(1)
				pause(every)
			}
		})
	}
	return &all
}

// publish stores a command. It tries until that is known, with the same id, as a bot should.
func (b *bot) publish(conversation int64, n int) {
	body := fmt.Appendf(nil, `{"conversation_id":%d,"content":"message %d"}`, conversation, n)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, err := b.js.Publish(ctx, "cx.cmd.message.send", body, jetstream.WithMsgID(fmt.Sprintf("c%d-%d", conversation, n)))
		cancel()
		if err == nil {
			return
		}
		pause(50 * time.Millisecond)
	}
}

func (b *bot) total() (n int) {
	for _, sent := range b.sent {
		n += int(sent.Load())
	}
	return n
}

// result is what the tests read of a result.
type result struct {
	CommandID string `json:"command_id"`
	Status    string `json:"status"`
	Detail    string `json:"detail"`
	MessageID int64  `json:"message_id"`
}

// verify checks that every command that was stored has exactly one result, that the API carried each out at most once and in order, and
// exactly once unless its result is unknown.
func (b *bot) verify(t *testing.T, sim *cxsim.Sim) {
	t.Helper()
	total := b.total()
	results := map[string][]result{}
	eventually(t, fmt.Sprintf("all %d commands have a result", total), func() bool {
		s, err := b.js.Stream(context.Background(), "CX_RESULTS")
		return err == nil && int(s.CachedInfo().State.Msgs) >= total
	})
	readAll(t, b.js, "CX_RESULTS", func(m jetstream.Msg, _ uint64) {
		var r result
		if err := json.Unmarshal(m.Data(), &r); err != nil {
			t.Errorf("%s: %v", m.Data(), err)
		}
		results[r.CommandID] = append(results[r.CommandID], r)
	})
	counts := map[string]int{}
	for _, conversation := range b.conversations {
		contents := map[string]int{}
		last := 0
		for _, content := range sim.Journal().CarriedOut().Calls(cxsim.OpSendMessage).Conversation(conversation).Contents() {
			var n int
			if _, err := fmt.Sscanf(content, "message %d", &n); err != nil {
				t.Fatal(err)
			}
			contents[content]++
			if n < last {
				t.Errorf("conversation %d: message %d was sent after message %d", conversation, n, last)
			}
			last = n
		}
		for n := 1; n <= int(b.sent[conversation].Load()); n++ {
			got := results[fmt.Sprintf("c%d-%d", conversation, n)]
			if len(got) != 1 {
				t.Errorf("command c%d-%d has %d results", conversation, n, len(got))
				continue
			}
			counts[got[0].Status]++
			switch times := contents[fmt.Sprintf("message %d", n)]; {
			case times > 1:
				t.Errorf("command c%d-%d was carried out %d times", conversation, n, times)
			case got[0].Status == "done" && times == 0:
				t.Errorf("command c%d-%d is said to be done and was not carried out", conversation, n)
			case got[0].Status == "unknown" && times == 1:
				counts["unknown, carried out"]++
			case got[0].Status != "done" && got[0].Status != "unknown":
				t.Errorf("command c%d-%d ended as %+v", conversation, n, got[0])
			}
		}
	}
	t.Logf("%d commands, each carried out at most once, in order, with one result: %v", total, counts)
	judged(t, b.js)
}

// answered waits until some more results are there.
func answered(t *testing.T, js jetstream.JetStream, more int) {
	t.Helper()
	count := func() int {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, "CX_RESULTS")
		if err != nil {
			return -1
		}
		return int(s.CachedInfo().State.Msgs)
	}
	before := -1
	eventually(t, "the results can be counted", func() bool { before = count(); return before >= 0 })
	eventually(t, "more commands are answered", func() bool { return count() >= before+more })
}

func TestNothingIsDoneTwiceWhenTheBridgeIsKilled(t *testing.T) {
	n := startNATS(t)
	sim, api := platform(t)
	b := startBridge(t, external(t, n.url(), api)+"[commands]\nlease_ttl = \"3s\"\n")
	b.ready(t)
	sim.Subscribe("http://" + b.webhook + "/webhooks/" + pathToken)
	sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Probability: 0.05, Effect: cxsim.EffectDelay, Delay: 300 * time.Millisecond})
	js := connect(t, n.url())
	bot := newBot(t, sim, js, 20)
	ctx, cancel := context.WithCancel(context.Background())
	// Faster than it is carried out between two kills, and not by so much that an hour's work is left in the end.
	writing := bot.write(ctx, time.Duration(times(50, 500))*time.Millisecond)
	for range times(6, 200) {
		answered(t, js, 50+rand.IntN(100))
		b.kill()
		b.restart(t)
	}
	answered(t, js, 50)
	cancel()
	writing.Wait()
	bot.verify(t, sim)
}

func TestAnotherBridgeTakesOver(t *testing.T) {
	for name, takeAway := range map[string]func(t *testing.T, b *bridge) (giveBack func()){
		"killed":  func(t *testing.T, b *bridge) func() { b.kill(); return func() { b.restart(t) } },
		"stopped": func(t *testing.T, b *bridge) func() { b.stop(t); return func() { b.restart(t) } },
		"frozen": func(t *testing.T, b *bridge) func() {
			b.signal(t, syscall.SIGSTOP)
			return func() { b.signal(t, syscall.SIGCONT) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			beside(t)
			n := startNATS(t)
			sim, api := platform(t)
			lease := "[commands]\nlease_ttl = \"3s\"\n"
			first := startBridge(t, external(t, n.url(), api)+lease)
			first.ready(t)
			second := startBridge(t, external(t, n.url(), api)+lease)
			second.ready(t)
			for _, b := range []*bridge{first, second} {
				sim.Subscribe("http://" + b.webhook + "/webhooks/" + pathToken)
			}
			js := connect(t, n.url())
			bot := newBot(t, sim, js, 20)
			ctx, cancel := context.WithCancel(context.Background())
			writing := bot.write(ctx, 50*time.Millisecond)
			for round := range times(3, 20) {
				answered(t, js, 100)
				giveBack := takeAway(t, []*bridge{first, second}[round%2])
				answered(t, js, 100)
				giveBack()
			}
			cancel()
			writing.Wait()
			bot.verify(t, sim)
			for _, b := range []*bridge{first, second} {
				if status, body := get("http://" + b.admin + "/readyz"); status != http.StatusOK && status != http.StatusServiceUnavailable {
					t.Errorf("/readyz: %d %s", status, body)
				}
			}
		})
	}
}
