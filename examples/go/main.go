// Command go-bot answers customers of Sangoma CX over NATS, and hands over to a human agent on the word "agent".
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const name = "go-bot" // of the durable consumers, and the beginning of every command id

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), nats.Name(name), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	consume(ctx, js, "CX_RESULTS", name+"-results", "cx.result.>", showResult)
	consume(ctx, js, "CX_EVENTS", name, "cx.message.created", func(m jetstream.Msg) error { return answer(ctx, js, m) })
	<-ctx.Done()
}

// consume takes messages one by one, in order. The server knows how far this bot came: what was not acknowledged comes again.
func consume(ctx context.Context, js jetstream.JetStream, stream, durable, subject string, handle func(jetstream.Msg) error) {
	consumer, err := js.CreateOrUpdateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: durable, FilterSubject: subject, DeliverPolicy: jetstream.DeliverNewPolicy, AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
	})
	if err != nil {
		log.Fatal(err)
	}
	_, err = consumer.Consume(func(m jetstream.Msg) {
		if err := handle(m); err != nil {
			log.Print(err)
			_ = m.NakWithDelay(time.Second) // if this gets lost, the message comes again all the same
			return
		}
		_ = m.Ack() // if this gets lost, the message comes again, and its command is already known
	})
	if err != nil {
		log.Fatal(err)
	}
}

// answer turns a message of a customer into a command.
func answer(ctx context.Context, js jetstream.JetStream, m jetstream.Msg) error {
	h := m.Headers()
	if h.Get("Cx-Origin") != "customer" || h.Get("Cx-Loop") == "true" {
		return nil // an agent, the system or a bot wrote it, perhaps this one; or two bots keep answering each other
	}
	var event struct {
		Content      string
		Conversation struct{ Status string }
	}
	if err := json.Unmarshal(m.Data(), &event); err != nil {
		return m.Term() // it will not get better
	}
	if event.Conversation.Status == "open" {
		return nil // a human agent has it
	}
	kind, id, command := "message.send", name+"-answer-"+h.Get("Cx-Message-Id"), map[string]string{
		"conversation_id": h.Get("Cx-Conversation-Id"), "content": "You wrote: " + event.Content,
	}
	if strings.EqualFold(strings.TrimSpace(event.Content), "agent") {
		kind, id = "conversation.handoff", name+"-handoff-"+h.Get("Cx-Message-Id")
		delete(command, "content")
	}
	body, err := json.Marshal(command)
	if err != nil {
		return err
	}
	header := nats.Header{"Nats-Msg-Id": {id}, "traceparent": h.Values("traceparent")} // the id of the command: sent twice, done once
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: "cx.cmd." + kind, Header: header, Data: body})
	return err
}

// showResult tells how a command of this bot ended.
func showResult(m jetstream.Msg) error {
	if id := m.Headers().Get("Cx-Command-Id"); strings.HasPrefix(id, name+"-") {
		fmt.Println(id, m.Headers().Get("Cx-Status"))
	}
	return nil
}
