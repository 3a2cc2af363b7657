package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// floorCommands is the least that can carry out commands: a pull consumer, a goroutine for each command, a tuned transport, the
// acknowledgement. It keeps no order and remembers nothing. With ledger set it also writes what the bridge writes, so that the price of
// remembering can be told from the price of the bridge.
type floorCommands struct {
	js     jetstream.JetStream
	names  subjects.Names
	client *http.Client
	api    string
	ledger bool
	fence  uint64
}

func serveFloorCommands(ctx context.Context) error {
	inFlight, err := strconv.Atoi(os.Getenv(envInFlight))
	if err != nil {
		return err
	}
	conn, err := nats.Connect(os.Getenv(envURL))
	if err != nil {
		return err
	}
	defer conn.Close()
	n, _, err1 := names()
	js, err2 := jetstream.New(conn)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	f := &floorCommands{
		js: js, names: n, api: os.Getenv(envAPI), ledger: os.Getenv(envLedger) != "",
		client: &http.Client{Transport: &http.Transport{MaxIdleConns: inFlight, MaxIdleConnsPerHost: inFlight, MaxConnsPerHost: inFlight}},
	}
	if f.ledger {
		ack, err := js.Publish(ctx, n.Ledger("epoch", "0"), []byte(`{"v":1,"epoch":1}`))
		if err != nil {
			return err
		}
		f.fence = ack.Sequence
	}
	if err := f.consume(ctx, inFlight); err != nil {
		return err
	}
	return conn.FlushTimeout(startTime)
}

// consume works until it is told to stop, and then finishes what is in hand.
func (f *floorCommands) consume(ctx context.Context, inFlight int) error {
	consumer, err := f.js.CreateConsumer(ctx, f.names.CommandsStream(), jetstream.ConsumerConfig{
		Durable: "floor", AckPolicy: jetstream.AckExplicitPolicy, MaxAckPending: 2 * inFlight, AckWait: 2 * time.Minute,
		FilterSubject: f.names.Prefix() + ".cmd.*.>",
	})
	if err != nil {
		return err
	}
	ctx, err = announce(ctx, "ready")
	if err != nil {
		return err
	}
	room := make(chan struct{}, inFlight)
	var work sync.WaitGroup
	consuming, err := consumer.Consume(func(m jetstream.Msg) {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return
		}
		work.Go(func() {
			if err := f.carryOut(m); err != nil {
				fmt.Fprintln(os.Stderr, "floor:", err)
			}
			<-room
		})
	}, jetstream.PullMaxMessages(inFlight))
	if err != nil {
		return err
	}
	<-ctx.Done()
	consuming.Stop()
	<-consuming.Closed()
	work.Wait()
	return nil
}

func (f *floorCommands) carryOut(m jetstream.Msg) error {
	ctx, cancel := context.WithTimeout(context.Background(), startTime)
	defer cancel()
	id := m.Headers().Get(nats.MsgIdHdr)
	var command struct {
		ConversationID subjects.ID `json:"conversation_id"`
		Content        string      `json:"content"`
	}
	if err := json.Unmarshal(m.Data(), &command); err != nil {
		return err
	}
	if f.ledger {
		if err := f.claim(ctx, id, command.ConversationID); err != nil {
			return err
		}
	}
	var answer []byte
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		var done bool
		var err error
		if answer, done, err = f.call(ctx, m.Data()); err != nil {
			return err
		}
		if done {
			break
		}
		pause(ctx, wait)
	}
	if f.ledger {
		if err := f.record(ctx, id, command.ConversationID, answer); err != nil {
			return err
		}
	}
	return m.Ack()
}

func (f *floorCommands) call(ctx context.Context, body []byte) (answer []byte, done bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.api+"messages/", bytes.NewReader(body))
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Authorization", "Bearer bench-token")
	req.Header.Set("Content-Type", "application/json")
	res, err := f.client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(res.Body)
	return answer, res.StatusCode == http.StatusOK, err
}

// claim and record write what the bridge's ledger writes, on the same conditions.
func (f *floorCommands) claim(ctx context.Context, id string, conversation subjects.ID) error {
	body, err := json.Marshal(struct {
		Version     int           `json:"v"`
		CommandID   string        `json:"command_id"`
		Nonce       string        `json:"nonce"`
		Epoch       int           `json:"epoch"`
		Kind        subjects.Kind `json:"kind"`
		Key         string        `json:"key"`
		MessageType string        `json:"message_type"`
		Fingerprint string        `json:"fingerprint"`
	}{1, id, "0123456789abcdef0123456789abcdef", 1, subjects.MessageSend, "conversation/" + conversation.String(), "outgoing", "0123456789abcdef0123456789abcdef"})
	if err != nil {
		return err
	}
	return f.put(ctx, f.names.Ledger("claim", id), body)
}

func (f *floorCommands) record(ctx context.Context, id string, conversation subjects.ID, answer []byte) error {
	now := subjects.Time{Time: time.Now()}
	result := subjects.Result{
		CommandID: id, Command: subjects.MessageSend, Status: subjects.StatusDone, Tenant: "acme.cx.sangoma.com", ConversationID: conversation, Attempts: 1,
		HTTPStatus: http.StatusOK, ReceivedAt: now, FinishedAt: now, Response: answer,
	}
	body, err := json.Marshal(result)
	if err != nil {
		return err
	}
	key := "conversation/" + conversation.String()
	outcome := fmt.Appendf(nil, `{"v":1,"epoch":1,"result":%s,"key":%q,"history":[{"time":%q,"status":200,"reason":"","detail":""}],"message_id":"1","fingerprint":"0123456789abcdef0123456789abcdef"}`,
		body, key, now.String())
	if err := f.put(ctx, f.names.Ledger("done", id), outcome); err != nil {
		return err
	}
	msg := &nats.Msg{Subject: f.names.Result(subjects.MessageSend, id), Data: body, Header: resultHeader(result)}
	_, err = f.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(f.names.ResultsStream()), jetstream.WithExpectLastSequencePerSubject(0))
	return err
}

// resultHeader is the header that the contract gives a result.
func resultHeader(r subjects.Result) nats.Header {
	return nats.Header{
		nats.MsgIdHdr:                {"result-" + r.CommandID},
		subjects.HeaderCESpecVersion: {subjects.CESpecVersion},
		subjects.HeaderCEID:          {"result-" + r.CommandID},
		subjects.HeaderCESource:      {subjects.CESource(r.Tenant)},
		subjects.HeaderCEType:        {"cx.result." + string(r.Command)},
		subjects.HeaderCETime:        {r.FinishedAt.String()},
		subjects.HeaderCESubject:     {r.ConversationID.String()},
		subjects.HeaderContentType:   {subjects.ContentTypeJSON},
		subjects.HeaderTenant:        {r.Tenant},
		subjects.HeaderCommandID:     {r.CommandID},
		subjects.HeaderStatus:        {string(r.Status)},
	}
}

func (f *floorCommands) put(ctx context.Context, subject string, body []byte) error {
	_, err := f.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: body}, jetstream.WithExpectStream(f.names.LedgerStream()),
		jetstream.WithExpectLastSequenceForSubject(f.fence, f.names.Ledger("epoch", "0")))
	return err
}
