package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// startBot starts a bot that knows nothing but NATS: it answers each message of a customer, and hands over to a human when asked to. It
// returns how to stop it.
func startBot(ctx context.Context, url string, names subjects.Names) (stop func(), err error) {
	conn, err := nats.Connect(url, nats.Name("cxbridge demo: bot"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, err
	}
	b := &bot{names: names}
	if b.js, err = jetstream.New(conn); err == nil {
		err = b.listen(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return func() { b.consuming.Stop(); <-b.consuming.Closed(); conn.Close() }, nil
}

type bot struct {
	names     subjects.Names
	js        jetstream.JetStream
	consuming jetstream.ConsumeContext
}

// listen takes events one by one; one that is not acknowledged comes again.
func (b *bot) listen(ctx context.Context) error {
	events, err := b.js.CreateOrUpdateConsumer(ctx, b.names.EventsStream(), jetstream.ConsumerConfig{
		Durable: "demo-bot", FilterSubject: b.names.Event(subjects.EventMessageCreated), AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		return err
	}
	b.consuming, err = events.Consume(func(m jetstream.Msg) {
		if b.answer(ctx, m) == nil {
			_ = m.Ack() // if it gets lost the event comes again, and the command ids keep the answer single
		}
	})
	return err
}

// answer writes only to customers: an answer to its own message would never end.
func (b *bot) answer(ctx context.Context, m jetstream.Msg) error {
	if m.Headers().Get(subjects.HeaderOrigin) != string(subjects.OriginCustomer) {
		return nil
	}
	var event struct {
		Content      string `json:"content"`
		Conversation struct {
			Status string `json:"status"`
		} `json:"conversation"`
	}
	if json.Unmarshal(m.Data(), &event) != nil || event.Conversation.Status == "open" {
		return nil // it will not get better; or a human has the conversation
	}
	id, conversation := m.Headers().Get(subjects.HeaderMsgID), m.Headers().Get(subjects.HeaderConversationID)
	reply := fmt.Sprintf("You said %q. Ask for an agent at any time.", event.Content)
	if wantsHuman(event.Content) {
		reply = "One moment, I am getting a human."
	}
	err := b.send(ctx, subjects.MessageSend, "answer-"+id, map[string]string{"conversation_id": conversation, "content": reply})
	if err == nil && wantsHuman(event.Content) {
		err = b.send(ctx, subjects.ConversationHandoff, "handoff-"+id, map[string]string{"conversation_id": conversation})
	}
	return err
}

func wantsHuman(content string) bool {
	content = strings.ToLower(content)
	return strings.Contains(content, "human") || strings.Contains(content, "agent")
}

// send publishes a command. The id makes sure that it is carried out once, however often it is published.
func (b *bot) send(ctx context.Context, kind subjects.Kind, id string, body map[string]string) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = b.js.Publish(ctx, b.names.Command(kind), data, jetstream.WithMsgID(id))
	return err
}
