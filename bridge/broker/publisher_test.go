package broker_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// TestThePublisherDoesWhatThatOfJetStreamDoes publishes everything with both: answers and errors are the same.
func TestThePublisherDoesWhatThatOfJetStreamDoes(t *testing.T) {
	b := open(t, external(natstest.Start(t).URL))
	ready(t, b)
	create(t, b.JetStream(), jetstream.StreamConfig{Name: "SMALL", Subjects: []string{"small.*"}, MaxMsgSize: 100, MaxMsgsPerSubject: 1, Discard: jetstream.DiscardNew, DiscardNewPerSubject: true})
	tests := []struct {
		name   string
		msg    nats.Msg
		stored bool
		want   error
	}{
		{name: "stored", msg: nats.Msg{Subject: "cx.message.created", Data: []byte("{}"), Header: nats.Header{"Nats-Msg-Id": {"a"}}}, stored: true},
		{name: "stored before", msg: nats.Msg{Subject: "cx.message.created", Data: []byte("{}"), Header: nats.Header{"Nats-Msg-Id": {"a"}}}, stored: true},
		{name: "another stream", msg: nats.Msg{Subject: "cx.message.created", Header: nats.Header{"Nats-Expected-Stream": {"CX_DEAD"}}}},
		{name: "too large for the stream", msg: nats.Msg{Subject: "small.a", Data: []byte(strings.Repeat("x", 200))}, want: jetstream.ErrStreamMessageExceedsMaximum},
		{name: "too large for the server", msg: nats.Msg{Subject: "cx.message.created", Data: make([]byte, 9<<20)}, want: nats.ErrMaxPayload},
		{name: "no stream", msg: nats.Msg{Subject: "nobody.listens"}, want: jetstream.ErrNoStreamResponse},
		{name: "no subject", msg: nats.Msg{}, want: nats.ErrBadSubject},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			publish := func(p interface {
				PublishMsg(context.Context, *nats.Msg, ...jetstream.PublishOpt) (*jetstream.PubAck, error)
			}) (*jetstream.PubAck, error) {
				msg := test.msg
				return p.PublishMsg(patient(t), &msg)
			}
			first, err := publish(b.Publisher())
			again, usual := publish(b.JetStream())
			if (err == nil) != test.stored || (usual == nil) != test.stored || test.want != nil && !errors.Is(err, test.want) {
				t.Fatalf("error %v, of jetstream %v, want %v", err, usual, test.want)
			}
			if err != nil && err.Error() != usual.Error() {
				t.Errorf("error %q, of jetstream %q", err, usual)
			}
			if err == nil && test.name == "stored before" {
				if diff := cmp.Diff(again, first); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	last := nats.Msg{Subject: "small.b", Data: []byte("x")}
	if ack, err := b.Publisher().PublishMsg(patient(t), &last); err != nil || ack.Stream != "SMALL" || ack.Sequence != 1 || ack.Duplicate {
		t.Errorf("acknowledgement %+v, error %v", ack, err)
	}
	if ack, err := b.Publisher().PublishMsg(t.Context(), &nats.Msg{Subject: "cx.a.b"}, jetstream.WithMsgID("x")); err != nil || ack.Stream != "CX_EVENTS" {
		t.Errorf("without a deadline, with an option: acknowledgement %+v, error %v", ack, err)
	}
}

func TestThePublisherGivesUpWhenItsTimeIsOver(t *testing.T) {
	s := natstest.Start(t)
	b := open(t, external(s.URL))
	ready(t, b)
	sub, err := b.Conn().SubscribeSync("silent.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := b.Publisher().PublishMsg(ctx, &nats.Msg{Subject: "silent.one"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Error(err)
	}
}

// TestAnswersToAPublish has someone else than a stream answer.
func TestAnswersToAPublish(t *testing.T) {
	b := open(t, external(natstest.Start(t).URL))
	tests := []struct {
		answer string
		want   *jetstream.PubAck
		err    string
	}{
		{`{"stream":"A","seq":18446744073709551615}`, &jetstream.PubAck{Stream: "A", Sequence: 18446744073709551615}, ""},
		{`{"stream":"A","seq":7,"duplicate":true}`, &jetstream.PubAck{Stream: "A", Sequence: 7, Duplicate: true}, ""},
		{`{"stream":"A","domain":"hub","seq":7}`, &jetstream.PubAck{Stream: "A", Domain: "hub", Sequence: 7}, ""},
		{` { "seq" : 7 , "stream" : "A" } `, &jetstream.PubAck{Stream: "A", Sequence: 7}, ""},
		{`{"stream":"A\u0042","seq":7}`, &jetstream.PubAck{Stream: "AB", Sequence: 7}, ""},
		{`{"stream":"A","seq":7}}`, nil, "invalid jetstream publish response"},
		{`{"stream":"A","seq":}`, nil, "invalid jetstream publish response"},
		{`{"stream":"A","seq":18446744073709551616}`, nil, "invalid jetstream publish response"},
		{`{"stream":"","seq":7}`, nil, "invalid jetstream publish response"},
		{`{}`, nil, "invalid jetstream publish response"},
		{``, nil, "invalid jetstream publish response"},
		{`{"error":{"code":503,"err_code":10077,"description":"maximum bytes exceeded"},"stream":"A","seq":0}`, nil, "maximum bytes exceeded"},
	}
	next := make(chan string, 1)
	sub, err := b.Conn().Subscribe("fake", func(m *nats.Msg) {
		if err := m.Respond([]byte(<-next)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := sub.Unsubscribe(); err != nil {
			t.Error(err)
		}
	}()
	ready(t, b)
	for _, test := range tests {
		next <- test.answer
		ack, err := b.Publisher().PublishMsg(patient(t), &nats.Msg{Subject: "fake"})
		if diff := cmp.Diff(test.want, ack); diff != "" {
			t.Errorf("%s: %s", test.answer, diff)
		}
		if (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: error %v, want %q", test.answer, err, test.err)
		}
	}
}

var _ interface {
	PublishMsg(context.Context, *nats.Msg, ...jetstream.PublishOpt) (*jetstream.PubAck, error)
} = broker.Publisher{}
