package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

// load is what customers and bots do meanwhile.
type load struct {
	seed uint64
	sim  *cxsim.Sim
	js   jetstream.JetStream
	rate float64 // commands a second, of all bots together
	many crowd

	mu   sync.Mutex
	sent []sent
}

const conversations = 24

// run writes until ctx ends, and returns when every command that was begun is known to be stored.
func (l *load) run(ctx context.Context) error {
	var all sync.WaitGroup
	for i := range conversations {
		c, err := l.sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: fmt.Sprintf("ann%d@chaos.test", i), Text: "hi"})
		if err != nil {
			return err
		}
		all.Go(func() { l.bot(ctx, i, c.ID) })
		all.Go(func() { l.customer(ctx, i, c.ID) })
	}
	all.Go(func() { l.visitors(ctx) })
	all.Wait()
	return nil
}

// pause waits for about that time, never the same twice.
func pause(ctx context.Context, r *rand.Rand, about time.Duration) {
	timer := time.NewTimer(time.Duration((0.5 + r.Float64()) * float64(about)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (l *load) customer(ctx context.Context, number int, conversation int64) {
	r := rand.New(rand.NewPCG(l.seed, uint64(1000+number)))
	for n := 1; ctx.Err() == nil; n++ {
		_, _ = l.sim.CustomerSays(conversation, fmt.Sprintf("customer's message %d", n)) // the conversation exists
		pause(ctx, r, time.Duration(conversations*float64(time.Second)/(l.rate/2)))
	}
}

// bot writes into one conversation, one command after the other.
func (l *load) bot(ctx context.Context, number int, conversation int64) {
	r := rand.New(rand.NewPCG(l.seed, uint64(2000+number)))
	for n := 1; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("k%d-%d", number, n)
		m := l.message(id, conversation, "Hello!")
		copies, ce := 1, false
		switch chance := r.IntN(100); {
		case chance < 3:
			copies, ce = 2, true // two messages of the stream, one command
		case chance < 6:
			copies = 2 // the bot is not sure whether it has sent it
		case chance < 8:
			m.Data = fmt.Appendf(nil, `{"conversation_id":%d,"contents":"%s"}`, conversation, mark(id))
		case chance < 10:
			m.Header.Set("Cx-Expires-At", time.Now().Add(time.Duration(r.IntN(400))*time.Millisecond).UTC().Format(time.RFC3339Nano))
		case chance < 11:
			m.Data = fmt.Appendf(nil, `{"conversation_id":999999,"content":"%s to nobody"}`, mark(id))
		}
		if ce {
			m.Header.Del(nats.MsgIdHdr)
			m.Header.Set("ce-id", id)
		}
		for range copies {
			l.publish(m)
		}
		l.note(sent{ID: id, Kind: messageSend, Lane: fmt.Sprintf("conversation %d", conversation)})
		pause(ctx, r, time.Duration(conversations*float64(time.Second)/l.rate))
	}
}

func (l *load) message(id string, conversation int64, text string) *nats.Msg {
	return command(id, messageSend, fmt.Sprintf(`{"conversation_id":%d,"content":"%s %s"}`, conversation, mark(id), text))
}

func command(id, kind, body string) *nats.Msg {
	return &nats.Msg{Subject: "cx.cmd." + kind, Data: []byte(body), Header: nats.Header{nats.MsgIdHdr: {id}}}
}

// publish stores a command. It tries until that is known, with the same id, as a bot should.
func (l *load) publish(m *nats.Msg) {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		_, err := l.js.PublishMsg(ctx, m)
		cancel()
		if err == nil {
			return
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (l *load) note(c sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, c)
}

func (l *load) commands() []sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]sent(nil), l.sent...)
}

// visitors come and go: contacts, conversations from beginning to end, and handoffs.
func (l *load) visitors(ctx context.Context) {
	r := rand.New(rand.NewPCG(l.seed, 3000))
	for n := 1; ctx.Err() == nil; n++ {
		id := fmt.Sprintf("k%d-%d", conversations, n)
		switch n % 3 {
		case 0:
			l.publish(command(id, contactCreate, fmt.Sprintf(`{"inbox_id":1,"name":"%s","email":"%s@chaos.test"}`, mark(id), id)))
			l.note(sent{ID: id, Kind: contactCreate})
		case 1:
			l.publish(command(id, conversationStart,
				fmt.Sprintf(`{"inbox_id":1,"contact":{"name":"%s","email":"%s@chaos.test"},"initial_message":"%s"}`, mark(id), id, mark(id))))
			l.note(sent{ID: id, Kind: conversationStart})
		case 2:
			l.wholeConversation(n)
		}
		pause(ctx, r, time.Second)
	}
}

// wholeConversation says something, hands over, says something, finishes, and says something once more.
func (l *load) wholeConversation(n int) {
	c, err := l.sim.NewConversation(cxsim.Visitor{Name: "Bo", Email: fmt.Sprintf("bo%d@chaos.test", n), Text: "hi"})
	if err != nil {
		return // there is an inbox for it
	}
	lane := fmt.Sprintf("conversation %d", c.ID)
	for step, kind := range []string{messageSend, conversationHandoff, messageSend, conversationFinish, messageSend} {
		id := fmt.Sprintf("k%d-%d", conversations+1+step, n)
		m := l.message(id, c.ID, "Hello!")
		order := sent{ID: id, Kind: kind, Lane: lane}
		if kind != messageSend {
			m, order.Conversation = command(id, kind, fmt.Sprintf(`{"conversation_id":%d}`, c.ID)), c.ID
		}
		l.publish(m)
		l.note(order)
	}
}
