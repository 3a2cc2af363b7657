package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/ledger"
)

const (
	deliveryPrefix = "$JS.ACK." // of the subjects to acknowledge on
	headerStatus   = "Status"   // of what the server itself says, with the next
	headerText     = "Description"
)

// delivered is a command as the consumer delivered it; a [jetstream.Msg] is one.
type delivered interface {
	Metadata() (*jetstream.MsgMetadata, error)
	Subject() string
	Reply() string
	Headers() nats.Header
	Data() []byte
}

// delivery is a delivered that came with a pull.
type delivery struct{ message *nats.Msg }

func (d delivery) Subject() string      { return d.message.Subject }
func (d delivery) Reply() string        { return d.message.Reply }
func (d delivery) Headers() nats.Header { return d.message.Header }
func (d delivery) Data() []byte         { return d.message.Data }

func (d delivery) Metadata() (*jetstream.MsgMetadata, error) {
	m, err := d.message.Metadata()
	if err != nil {
		return nil, err
	}
	return &jetstream.MsgMetadata{
		Sequence:     jetstream.SequencePair{Consumer: m.Sequence.Consumer, Stream: m.Sequence.Stream},
		NumDelivered: m.NumDelivered, NumPending: m.NumPending, Timestamp: m.Timestamp, Stream: m.Stream, Consumer: m.Consumer, Domain: m.Domain,
	}, nil
}

// fetch asks the consumer of the term for up to so many commands, and takes each, until they have come or the pull is over. It tells how many it took.
//
// It stands in for Fetch of the client library, which holds a message without a body for one of the server's if its header has a Status. Anybody can
// publish a command like that, and nothing behind it would ever be carried out. Only deliveries have a subject to acknowledge them on.
func (p *pulling) fetch(ctx context.Context, room int) (taken int, err error) {
	request, err := json.Marshal(map[string]any{"batch": room, "expires": pullExpiry - pullExpiry/10, "idle_heartbeat": pullHeartbeat})
	if err != nil {
		return 0, err
	}
	messages := make(chan *nats.Msg, 2*room)
	inbox := p.conn.NewInbox()
	subscription, err := p.conn.ChanSubscribe(inbox, messages)
	if err != nil {
		return 0, err
	}
	defer func() { _ = subscription.Unsubscribe() }() // else the connection is closed
	if err := p.conn.PublishRequest(ledger.APISubject(p.js, "CONSUMER.MSG.NEXT."+p.stream+"."+consumerName(p.epochNumber)), inbox, request); err != nil {
		return 0, err
	}
	silence := time.NewTimer(2 * pullHeartbeat)
	defer silence.Stop()
	for taken < room {
		select {
		case <-ctx.Done():
			return taken, ctx.Err()
		case <-silence.C:
			return taken, jetstream.ErrNoHeartbeat
		case m := <-messages:
			silence.Reset(2 * pullHeartbeat)
			if !strings.HasPrefix(m.Reply, deliveryPrefix) {
				if over, err := says(m.Header); over {
					return taken, err
				}
				continue
			}
			if err := p.take(delivery{m}); err != nil {
				return taken, err
			}
			taken++
		}
	}
	return taken, nil
}

// says tells whether what the server says is the end of a pull, and whether it is an error.
func says(header nats.Header) (over bool, err error) {
	status, text := header.Get(headerStatus), header.Get(headerText)
	switch {
	case status == "100": // a heartbeat
		return false, nil
	case status == "404" || status == "408": // there are no commands, or the time of the pull is over
		return true, nil
	case status == "409" && strings.Contains(strings.ToLower(text), "consumer deleted"):
		return true, jetstream.ErrConsumerDeleted
	case status == "503":
		return true, nats.ErrNoResponders
	case status == "":
		return true, errors.New("pull: an answer that is none of the server's")
	}
	return true, fmt.Errorf("pull: %s %s", status, text)
}
