package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

func TestMain(m *testing.M) { natstest.VerifyNoLeaks(m) }

const patience = 2 * time.Minute

// bus is a NATS server with the streams of commands and results, and the service on it.
type bus struct {
	*natstest.Server
	names subjects.Names
	conn  *nats.Conn
	js    jetstream.JetStream
	own   *nats.Conn // of the service
}

func start(t *testing.T, queries map[string]rpc.Query) *bus {
	t.Helper()
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	b := &bus{Server: natstest.Start(t), names: names}
	b.conn = b.Conn(t)
	b.js, err = jetstream.New(b.conn)
	if err != nil {
		t.Fatal(err)
	}
	natstest.CreateStream(t, b.js, jetstream.StreamConfig{Name: "CX_COMMANDS", Subjects: []string{"cx.cmd.*.>"}})
	natstest.CreateStream(t, b.js, jetstream.StreamConfig{Name: "CX_RESULTS", Subjects: []string{"cx.result.*.>"}})
	b.own = b.Conn(t)
	js, err := jetstream.New(b.own)
	if err != nil {
		t.Fatal(err)
	}
	service := rpc.New(rpc.Config{Timeout: patience}, rpc.Deps{
		Names: names, Tenant: "acme", Conn: b.own, JetStream: js, Queries: queries, Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := service.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })
	natstest.Eventually(t, "the service answers", func() bool {
		_, err := b.conn.Request("$SRV.PING.cxbridge", nil, time.Second)
		return err == nil
	})
	return b
}

// carryOut answers every command with a result, as the bridge does, until the test ends.
func (b *bus) carryOut(t *testing.T) {
	t.Helper()
	c, err := b.js.CreateConsumer(t.Context(), "CX_COMMANDS", jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		t.Fatal(err)
	}
	running, err := c.Consume(func(m jetstream.Msg) {
		kind, _, _ := b.names.ParseCommand(m.Subject())
		id := m.Headers().Get("Nats-Msg-Id")
		body, err := json.Marshal(subjects.Result{CommandID: id, Command: kind, Status: subjects.StatusDone, Detail: m.Headers().Get("Cx-Only-If") + m.Headers().Get("Nats-Expected-Stream")})
		if err != nil {
			t.Error(err)
		}
		if _, err := b.js.Publish(context.Background(), b.names.Result(kind, id), body); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			t.Error(err)
		}
		if err := m.Ack(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { running.Stop(); <-running.Closed() })
}

func (b *bus) request(t *testing.T, endpoint string, header nats.Header, body string) *nats.Msg {
	t.Helper()
	answer, err := b.conn.RequestMsg(&nats.Msg{Subject: b.names.RPCSubject(endpoint), Header: header, Data: []byte(body)}, patience)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestAnIDThatWasUsedForAnotherCommandIsRefusedAtOnce: the bus does not store such a command, so that no result would ever come.
func TestAnIDThatWasUsedForAnotherCommandIsRefusedAtOnce(t *testing.T) {
	b := start(t, nil)
	if _, err := b.js.Publish(t.Context(), "cx.cmd.message.send.42", []byte(`{}`), jetstream.WithMsgID("a")); err != nil {
		t.Fatal(err)
	}
	answer := b.request(t, string(subjects.ConversationFinish), nats.Header{"Nats-Msg-Id": {"a"}}, `{}`)
	if code, text := answer.Header.Get("Nats-Service-Error-Code"), answer.Header.Get("Nats-Service-Error"); code != "400" || !strings.Contains(text, "message.send") {
		t.Errorf("%s: %s", code, text)
	}
	b.carryOut(t)
	if answer := b.request(t, string(subjects.MessageSend), nats.Header{"Nats-Msg-Id": {"a"}}, `{}`); answer.Header.Get("Nats-Service-Error") != "" {
		t.Errorf("%v", answer.Header)
	}
}

func TestARequestIsAnsweredWithItsCommandsResult(t *testing.T) {
	b := start(t, nil)
	b.carryOut(t)
	for _, kind := range subjects.Kinds() {
		answer := b.request(t, string(kind), nats.Header{"Nats-Msg-Id": {"id-" + string(kind)}, "Cx-Only-If": {"still-with-bot"}, "Nats-Expected-Stream": {"OTHER"}}, `{}`)
		var result subjects.Result
		if err := json.Unmarshal(answer.Data, &result); err != nil {
			t.Fatalf("%s: %v: %s %v", kind, err, answer.Data, answer.Header)
		}
		if result.CommandID != "id-"+string(kind) || result.Command != kind || result.Status != subjects.StatusDone || result.Detail != "still-with-bot" {
			t.Errorf("%s: %s", kind, answer.Data)
		}
	}
}

// TestOnlyResultsThatAreWaitedForComeToTheService: all others would cost as much as the commands themselves.
func TestOnlyResultsThatAreWaitedForComeToTheService(t *testing.T) {
	b := start(t, nil)
	b.carryOut(t)
	b.request(t, string(subjects.MessageSend), nats.Header{"Nats-Msg-Id": {"waited-for"}}, `{}`)
	const others = 200
	before, subscriptions := b.own.Stats().InMsgs, b.own.NumSubscriptions()
	for i := range others {
		if _, err := b.js.Publish(t.Context(), b.names.Result(subjects.MessageSend, fmt.Sprint("other-", i)), []byte(`{}`)); err != nil {
			t.Fatal(err)
		}
	}
	b.request(t, string(subjects.MessageSend), nats.Header{"Nats-Msg-Id": {"waited-for-too"}}, `{}`)
	if more := b.own.Stats().InMsgs - before; more >= others {
		t.Errorf("the service got %d messages for one request and one answer", more)
	}
	natstest.Eventually(t, "nothing is left of the requests", func() bool { return b.own.NumSubscriptions() <= subscriptions })
}

func TestARepeatedRequestIsAnsweredWithTheFirstResult(t *testing.T) {
	b := start(t, nil)
	b.carryOut(t)
	first := b.request(t, "message.send", nats.Header{"Nats-Msg-Id": {"once"}}, `{}`)
	again := b.request(t, "message.send", nats.Header{"Nats-Msg-Id": {"once"}}, `{}`)
	if string(first.Data) != string(again.Data) {
		t.Errorf("first %s, then %s", first.Data, again.Data)
	}
	stream, err := b.js.Stream(t.Context(), "CX_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d commands are stored", n)
	}
}

func TestARequestThatTimesOutTellsWhereItsCommandStands(t *testing.T) {
	b := start(t, nil)
	answer := b.request(t, "message.send", nats.Header{"Nats-Msg-Id": {"slow"}, "Cx-Timeout": {"2s"}}, `{}`)
	text := answer.Header.Get(micro.ErrorHeader)
	code := answer.Header.Get(micro.ErrorCodeHeader)
	// On a machine that is slow enough, the time is over before the command is known to be stored.
	stored := code == "504" && strings.Contains(text, "CX_COMMANDS, sequence 1") && strings.Contains(text, "cx.result.message.send.slow")
	if !stored && !(code == "503" && strings.Contains(text, "not known to be stored")) {
		t.Errorf("answered %v", answer.Header)
	}
	if answer.Header.Get("Cx-Command-Id") != "slow" {
		t.Errorf("answered %v", answer.Header)
	}
	wrong := b.request(t, "message.send", nats.Header{"Cx-Timeout": {"soon"}}, `{}`)
	if wrong.Header.Get(micro.ErrorCodeHeader) != "400" || !strings.Contains(wrong.Header.Get(micro.ErrorHeader), `"soon"`) {
		t.Errorf("answered %v", wrong.Header)
	}
}

func TestRequestsDoNotWaitForOneAnother(t *testing.T) {
	b := start(t, nil)
	slow, err := b.conn.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.conn.PublishMsg(&nats.Msg{Subject: "cx.rpc.message.send", Reply: slow.Subject, Header: nats.Header{"Nats-Msg-Id": {"a"}}, Data: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	done := make(chan *nats.Msg, 1)
	go func() {
		answer, err := b.conn.RequestMsg(&nats.Msg{Subject: "cx.rpc.message.send", Header: nats.Header{"Nats-Msg-Id": {"b"}}, Data: []byte(`{}`)}, patience)
		if err != nil {
			t.Error(err)
		}
		done <- answer
	}()
	stream, err := b.js.Stream(t.Context(), "CX_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "both commands are stored", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 2
	})
	if _, err := b.js.Publish(t.Context(), "cx.result.message.send.b", []byte(`{"command_id":"b"}`)); err != nil {
		t.Fatal(err)
	}
	if answer := <-done; answer == nil || string(answer.Data) != `{"command_id":"b"}` {
		t.Errorf("answered %v", answer)
	}
	if _, err := b.js.Publish(t.Context(), "cx.result.message.send.a", []byte(`{"command_id":"a"}`)); err != nil {
		t.Fatal(err)
	}
	if answer, err := slow.NextMsg(patience); err != nil || string(answer.Data) != `{"command_id":"a"}` {
		t.Errorf("answered %v (%v)", answer, err)
	}
}

func TestQueriesAreAnswered(t *testing.T) {
	b := start(t, map[string]rpc.Query{
		"inbox.list":    func(context.Context, []byte) (any, error) { return []string{"web"}, nil },
		"bridge.status": func(_ context.Context, r []byte) (any, error) { return nil, fmt.Errorf("no status of %s", r) },
	})
	if answer := b.request(t, "inbox.list", nil, ""); string(answer.Data) != `["web"]` {
		t.Errorf("answered %s", answer.Data)
	}
	answer := b.request(t, "bridge.status", nil, "x")
	if answer.Header.Get(micro.ErrorCodeHeader) != "503" || answer.Header.Get(micro.ErrorHeader) != "no status of x" {
		t.Errorf("answered %v", answer.Header)
	}
}

// TestAnAnswerNeverBecomesAnEventOrAResult asks for answers where only the bridge may publish.
func TestFailedQueriesTellByTheirCodeWhatIsWrong(t *testing.T) {
	missing := errors.New("no such letter")
	b := start(t, map[string]rpc.Query{
		"wrong": func(context.Context, []byte) (any, error) {
			return nil, fmt.Errorf("%w: limit is needed", rpc.ErrRequest)
		},
		"missing": func(context.Context, []byte) (any, error) {
			return nil, fmt.Errorf("show: %w", &rpc.NotFoundError{Err: missing})
		},
		"refused": func(context.Context, []byte) (any, error) {
			return nil, fmt.Errorf("list: %w", &cxapi.Error{Op: "GET x/", Status: 403, Kind: cxapi.KindForbidden})
		},
		"unknown": func(context.Context, []byte) (any, error) {
			return nil, &cxapi.Error{Op: "GET x/", Kind: cxapi.KindUnauthorized, Err: &cxapi.Error{Op: "POST oauth/token", Status: 400, Kind: cxapi.KindUnauthorized}}
		},
		"unasked": func(context.Context, []byte) (any, error) {
			return nil, &cxapi.Error{Op: "GET x/", Kind: cxapi.KindUnauthorized, Err: missing}
		},
		"unable": func(context.Context, []byte) (any, error) {
			return nil, &cxapi.Error{Op: "GET x/", Status: 500, Kind: cxapi.KindUnavailable}
		},
		"slow":  func(ctx context.Context, _ []byte) (any, error) { <-ctx.Done(); return nil, ctx.Err() },
		"large": func(context.Context, []byte) (any, error) { return strings.Repeat("x", 1<<20), nil },
	})
	for endpoint, want := range map[string][2]string{
		"refused": {"403", "list: GET x/: 403 forbidden"}, "unknown": {"401", "GET x/: unauthorized: POST oauth/token: 400 unauthorized"},
		"unasked": {"503", "GET x/: unauthorized: no such letter"}, "unable": {"503", "GET x/: 500 unavailable"},
		"wrong": {"400", "request: limit is needed"}, "missing": {"404", "show: no such letter"}, "slow": {"504", "context deadline exceeded"},
		"large": {"413", "the answer has 1048578 bytes, and a message takes 1048576"},
	} {
		header := nats.Header{}
		if endpoint == "slow" {
			header.Set("Cx-Timeout", "1ms")
		}
		answer := b.request(t, endpoint, header, "")
		if got := [2]string{answer.Header.Get(micro.ErrorCodeHeader), answer.Header.Get(micro.ErrorHeader)}; got != want {
			t.Errorf("%s: %q, want %q", endpoint, got, want)
		}
	}
}

func TestAnAnswerNeverBecomesAnEventOrAResult(t *testing.T) {
	b := start(t, map[string]rpc.Query{"bridge.status": func(context.Context, []byte) (any, error) { return "forged", nil }})
	heard, err := b.conn.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	forged := []string{"cx.message.created", "cx.result.message.send.x", "_cx.ledger.done.x", "$KV.CX_BRIDGE.pause"}
	for _, reply := range forged {
		for _, endpoint := range []string{"bridge.status", "message.send"} {
			if err := b.conn.PublishRequest("cx.rpc."+endpoint, reply, []byte(`{}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if answer := b.request(t, "bridge.status", nil, ""); string(answer.Data) != `"forged"` { // asked after them, and so answered after them
		t.Errorf("answered %s", answer.Data)
	}
	for {
		m, err := heard.NextMsg(patience)
		if err != nil {
			t.Fatal(err)
		}
		if string(m.Data) == `"forged"` {
			if !strings.HasPrefix(m.Subject, "_INBOX.") {
				t.Errorf("an answer on %s", m.Subject)
			}
			break
		}
	}
	stream, err := b.js.Stream(t.Context(), "CX_COMMANDS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 0 {
		t.Errorf("%d commands are stored", n)
	}
}
