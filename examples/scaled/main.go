// Command scaled-bot is one of several instances that share the conversations of Sangoma CX: each conversation stays with one of them, in order.
// It needs a bridge with subjects.keyed = true.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	name       = "scaled-bot" // of stream and consumers, and the beginning of every command id
	partitions = 8            // more than there will ever be instances; with another number, use another stream
)

func main() {
	ctx := context.Background() // it may be killed at any time
	var instance, instances int
	if _, err := fmt.Sscanf(cmp.Or(os.Getenv("INSTANCE"), "0/1"), "%d/%d", &instance, &instances); err != nil || instance < 0 || instance >= instances {
		log.Fatal("INSTANCE is 0/3, 1/3 or 2/3 for three instances")
	}
	nc, err := nats.Connect(cmp.Or(os.Getenv("NATS_URL"), nats.DefaultURL), nats.Name(name), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(run(ctx, js, instance, instances, func(m jetstream.Msg) error { return answer(ctx, js, m) }))
}

// share makes the stream into which the server copies the events, each into the partition of its conversation. It begins with what comes now.
func share(ctx context.Context, js jetstream.JetStream) error {
	now := time.Now()
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: name, Retention: jetstream.WorkQueuePolicy, MaxAge: 7 * 24 * time.Hour, // what was acknowledged is gone
		Sources: []*jetstream.StreamSource{{Name: "CX_EVENTS", OptStartTime: &now, SubjectTransforms: []jetstream.SubjectTransformConfig{{
			Source:      "cx.event.message.created.*.*", // the inbox and the conversation
			Destination: fmt.Sprintf("%s.{{partition(%d,2)}}.{{wildcard(1)}}.{{wildcard(2)}}", name, partitions),
		}}}},
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil // another instance was first, or this one before it was restarted
	}
	return err
}

// run takes the events of every partition that is this instance's, one by one in each, until the context ends.
func run(ctx context.Context, js jetstream.JetStream, instance, instances int, handle func(jetstream.Msg) error) error {
	if err := share(ctx, js); err != nil {
		return err
	}
	for p := instance; p < partitions; p += instances {
		consumer, err := js.CreateOrUpdateConsumer(ctx, name, jetstream.ConsumerConfig{
			Durable: fmt.Sprintf("%s-%d", name, p), FilterSubject: fmt.Sprintf("%s.%d.>", name, p), AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 1,
		})
		if err != nil {
			return err
		}
		running, err := consumer.Consume(func(m jetstream.Msg) {
			if err := handle(m); err != nil {
				log.Print(err)
				_ = m.NakWithDelay(time.Second)
				return
			}
			_ = m.Ack()
		})
		if err != nil {
			return err
		}
		defer func() { running.Drain(); <-running.Closed() }()
	}
	<-ctx.Done()
	return nil
}

// answer turns a message of a customer into a command.
func answer(ctx context.Context, js jetstream.JetStream, m jetstream.Msg) error {
	h := m.Headers()
	if h.Get("Cx-Origin") != "customer" || h.Get("Cx-Loop") == "true" {
		return nil
	}
	body, err := json.Marshal(map[string]string{"conversation_id": h.Get("Cx-Conversation-Id"), "content": "I got " + h.Get("Cx-Message-Id")})
	if err != nil {
		return err
	}
	h = nats.Header{"Nats-Msg-Id": {name + "-answer-" + h.Get("Cx-Message-Id")}, "traceparent": h.Values("traceparent")}
	_, err = js.PublishMsg(ctx, &nats.Msg{Subject: "cx.cmd.message.send", Header: h, Data: body})
	return err
}
