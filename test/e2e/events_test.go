//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const pathToken = "e2e-path-token-0123456789abcdef"

// messageEvent is a message_created webhook as the vendor lays it out.
func messageEvent(message, conversation int) []byte {
	return fmt.Appendf(nil, `{"event":"message_created","id":%d,"content":"hello %d","content_type":"text","message_type":"incoming","private":false,`+
		`"created_at":"2026-11-22T10:00:00.000Z","account":{"id":3,"name":"acme"},"inbox":{"id":5,"name":"Web"},"sender":{"id":77,"name":"Ann"},`+
		`"conversation":{"id":%d,"inbox_id":5,"status":"pending"}}`, message, message, conversation)
}

// customers are conversations whose events come in one after the other, each conversation's on its own connection.
type customers struct {
	urls   []string // of the bridges; each event is offered to one after the other until one takes it
	client *http.Client
	next   atomic.Int64

	mu       sync.Mutex
	accepted map[int][]int // conversation → messages that were answered 200, in order
	refused  int
}

func newCustomers(bridges ...*bridge) *customers {
	c := &customers{
		accepted: map[int][]int{},
		client:   &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	for _, b := range bridges {
		c.urls = append(c.urls, "http://"+b.webhook+"/webhooks/"+pathToken)
	}
	return c
}

// write posts events of one conversation until ctx ends or n were accepted (0: no limit), with a pause after each. An event that is not
// accepted is gone, as it is with the vendor.
func (c *customers) write(ctx context.Context, conversation, n int, every time.Duration) {
	for sent := 0; ctx.Err() == nil && (n == 0 || sent < n); {
		message := int(c.next.Add(1))
		err := c.offer(conversation, messageEvent(message, conversation))
		c.mu.Lock()
		if err == nil {
			c.accepted[conversation] = append(c.accepted[conversation], message)
			sent++
		} else {
			c.refused++
		}
		c.mu.Unlock()
		if err != nil {
			pause(5 * time.Millisecond)
		} else if every > 0 {
			pause(every)
		}
	}
}

// offer posts an event to one bridge after the other, each conversation's to the same one first.
func (c *customers) offer(conversation int, body []byte) (err error) {
	for i := range c.urls {
		if err = c.post(c.urls[(conversation+i)%len(c.urls)], body); err == nil {
			return nil
		}
	}
	return err
}

func (c *customers) post(url string, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%w: %d", errNotAccepted, res.StatusCode)
	}
	return nil
}

func (c *customers) counts() (accepted, refused int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, messages := range c.accepted {
		accepted += len(messages)
	}
	return accepted, c.refused
}

// verify checks that the stream holds every accepted event exactly once, and in order within each conversation: with several bridges only
// test/chaos knows which order can be told. It waits for what is still on its way from a spool.
func (c *customers) verify(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	total, refused := c.counts()
	var where map[string][]uint64
	eventually(t, fmt.Sprintf("all %d accepted events are in the stream", total), func() bool {
		where = stored(t, js)
		for _, messages := range c.accepted {
			for _, m := range messages {
				if len(where[fmt.Sprint(m)]) == 0 {
					return false
				}
			}
		}
		return true
	})
	for conversation, messages := range c.accepted {
		var last uint64
		for _, m := range messages {
			at := where[fmt.Sprint(m)]
			if len(at) != 1 {
				t.Errorf("message %d is in the stream %d times", m, len(at))
			}
			if at[0] < last && len(c.urls) == 1 {
				t.Errorf("conversation %d: message %d is stored out of order", conversation, m)
			}
			last = at[0]
		}
	}
	t.Logf("%d events accepted, each in the stream once and in order; %d not accepted", total, refused)
	judged(t, js)
}

// stored returns the stream sequences of each message id.
func stored(t *testing.T, js jetstream.JetStream) map[string][]uint64 {
	t.Helper()
	where := map[string][]uint64{}
	readAll(t, js, "CX_EVENTS", func(m jetstream.Msg, at uint64) {
		id := m.Headers().Get("Cx-Message-Id")
		where[id] = append(where[id], at)
	})
	return where
}

// readAll hands every message that a stream holds now to a function, in order.
func readAll(t *testing.T, js jetstream.JetStream, stream string, each func(m jetstream.Msg, at uint64)) {
	t.Helper()
	var last, read uint64
	eventually(t, "the state of "+stream, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s, err := js.Stream(ctx, stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return true // the bridge has not made it yet
		}
		if err == nil && s.CachedInfo().State.Msgs > 0 {
			last = s.CachedInfo().State.LastSeq
		}
		return err == nil
	})
	eventually(t, "the messages of "+stream, func() bool {
		err := readFrom(js, stream, read+1, last, func(m jetstream.Msg, at uint64) {
			read = at
			each(m, at)
		})
		return err == nil
	})
}

// readFrom reads a part of a stream. A consumer that was made while servers come and go can stand still; it is given up then, and the
// caller goes on with another one.
func readFrom(js jetstream.JetStream, stream string, first, last uint64, each func(m jetstream.Msg, at uint64)) error {
	if first > last {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c, err := js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: first})
	if err != nil {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextMaxWait(15 * time.Second))
		if err != nil {
			return err
		}
		meta, err := m.Metadata()
		if err != nil {
			return err
		}
		each(m, meta.Sequence.Stream)
		if meta.Sequence.Stream >= last {
			return nil
		}
	}
}

// connect returns a JetStream handle that waits for its server.
func connect(t *testing.T, url string) jetstream.JetStream {
	t.Helper()
	var conn *nats.Conn
	eventually(t, "a connection to "+url, func() bool {
		var err error
		conn, err = nats.Connect(url, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
		return err == nil
	})
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "JetStream answers", func() bool {
		_, err := js.AccountInfo(context.Background())
		return err == nil || errors.Is(err, jetstream.ErrJetStreamNotEnabled)
	})
	return js
}
