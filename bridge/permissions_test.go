package bridge_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

const serverExample = "../deploy/nats/nats-server.conf"

// exampleServer runs a server with the accounts and users of the example, in which change may alter something.
func exampleServer(t *testing.T, change func(text string) string) *natstest.Server {
	t.Helper()
	text, err := os.ReadFile(serverExample)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "nats-server.conf")
	if err := os.WriteFile(path, []byte(change(passwords.Replace(string(text)))), 0o600); err != nil {
		t.Fatal(err)
	}
	return natstest.Start(t, func(o *server.Options) {
		example, err := server.ProcessConfigFile(path)
		if err != nil {
			t.Fatal(err)
		}
		o.Accounts, o.Users, o.SystemAccount = example.Accounts, example.Users, example.SystemAccount
	})
}

// passwords take the place of those that come from the environment.
var passwords = strings.NewReplacer("$CX_BRIDGE_PASSWORD", "password-of-bridge", "$CX_BOT_PASSWORD", "password-of-bot", "$CX_OPERATOR_PASSWORD", "password-of-operator",
	"$NATS_ADMIN_PASSWORD", "password-of-admin")

func asItIs(text string) string { return text }

// bridgeOn returns a configuration that uses the server as the user bridge.
func bridgeOn(t *testing.T, s *natstest.Server) (*cxsim.Sim, bridge.Config) {
	t.Helper()
	sim, cfg := simulate(t)
	cfg.NATS.Mode, cfg.NATS.URL = broker.External, s.URL
	cfg.NATS.User, cfg.NATS.Password, cfg.NATS.InboxPrefix = "bridge", "password-of-bridge", "_INBOX.bridge"
	return sim, cfg
}

// user is somebody who is connected, and what the server refused to them.
type user struct {
	jetstream.JetStream
	t  *testing.T
	mu sync.Mutex

	refused []string
}

func login(t *testing.T, s *natstest.Server, name string) *user {
	t.Helper()
	u := &user{t: t}
	u.JetStream = s.JetStream(t, nats.UserInfo(name, "password-of-"+name), nats.CustomInboxPrefix("_INBOX."+name),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.refused = append(u.refused, err.Error())
		}))
	return u
}

// in says which test fails if something is wrong from now on.
func (u *user) in(t *testing.T) { u.t = t }

// complaints are the errors that the server sent so far.
func (u *user) complaints() []string {
	u.t.Helper()
	if err := u.Conn().FlushTimeout(natstest.Patience); err != nil {
		u.t.Fatal(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.refused)
}

// mayNot publishes and waits for the server's refusal, which comes without a word to whoever published.
func (u *user) mayNot(subject string) {
	u.t.Helper()
	if err := u.Conn().Publish(subject, []byte(`{}`)); err != nil {
		u.t.Fatal(err)
	}
	u.isRefused("Publish to \"" + subject + "\"")
}

func (u *user) mayNotHear(subject string) {
	u.t.Helper()
	sub, err := u.Conn().SubscribeSync(subject)
	if err != nil {
		u.t.Fatal(err)
	}
	u.isRefused("Subscription to \"" + subject + "\"")
	_ = sub.Unsubscribe() // the server knows nothing of it
}

func (u *user) isRefused(what string) {
	u.t.Helper()
	natstest.Eventually(u.t, "the refusal of "+what, func() bool {
		return slices.ContainsFunc(u.complaints(), func(c string) bool { return strings.Contains(strings.ToLower(c), strings.ToLower(what)) })
	})
}

func (u *user) send(kind subjects.Kind, id, body string) {
	u.t.Helper()
	m := &nats.Msg{Subject: "cx.cmd." + string(kind), Header: nats.Header{"Nats-Msg-Id": {id}}, Data: []byte(body)}
	if _, err := u.PublishMsg(u.t.Context(), m); err != nil {
		u.t.Fatalf("%s: %v", kind, err)
	}
}

// consume returns the next message of a consumer that was made for the bot.
func (u *user) consume(stream string) jetstream.Msg {
	u.t.Helper()
	c, err := u.Consumer(u.t.Context(), stream, "bot")
	if err != nil {
		u.t.Fatalf("consumer of %s: %v", stream, err)
	}
	m, err := c.Next(jetstream.FetchMaxWait(natstest.Patience))
	if err != nil {
		u.t.Fatalf("next of %s: %v", stream, err)
	}
	if err := m.DoubleAck(u.t.Context()); err != nil {
		u.t.Fatalf("ack of %s: %v", stream, err)
	}
	return m
}

// runWithLog runs a bridge and returns what it logs.
func runWithLog(t *testing.T, cfg bridge.Config) (*running, *lines) {
	t.Helper()
	log := &lines{}
	b, err := bridge.New(cfg, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	return launch(t, b), log
}

// TestTheExampleOfPermissionsIsEnough lets a bridge, a bot and an operator do all that they do, with the users of deploy/nats.
func TestTheExampleOfPermissionsIsEnough(t *testing.T) {
	t.Parallel()
	s := exampleServer(t, asItIs)
	sim, cfg := bridgeOn(t, s)
	cfg.Commands.EchoWait = natstest.Patience
	b, log := runWithLog(t, cfg)
	b.waitReady()
	c, err := sim.NewConversation(cxsim.Visitor{Name: "Ann", Email: "ann@example.test", Text: "hi"})
	if err != nil {
		t.Fatal(err)
	}
	sim.Subscribe(b.url(), "message_created", "conversation_created")
	bot, operator := login(t, s, "bot"), login(t, s, "operator")
	for stream, filter := range map[string]string{"CX_EVENTS": "cx.message.created", "CX_RESULTS": "cx.result.>"} {
		if _, err := operator.CreateConsumer(t.Context(), stream, jetstream.ConsumerConfig{Durable: "bot", FilterSubject: filter, AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("events", func(t *testing.T) {
		bot.in(t)
		if status := b.post(event(1)); status != http.StatusOK {
			t.Fatalf("webhook = %d", status)
		}
		if status := b.post(`[]`); status != http.StatusBadRequest { // a dead letter
			t.Fatalf("malformed webhook = %d", status)
		}
		if m := bot.consume("CX_EVENTS"); m.Subject() != "cx.message.created" {
			t.Errorf("event on %s", m.Subject())
		}
	})
	t.Run("commands", func(t *testing.T) {
		bot.in(t)
		sim.Fault(cxsim.Fault{Op: cxsim.OpSendMessage, Contains: "lost", Times: 1, Effect: cxsim.EffectLost})
		bodies := []struct {
			kind subjects.Kind
			body string
		}{
			{subjects.MessageSend, fmt.Sprintf(`{"conversation_id":%d,"content":"hello"}`, c.ID)},
			{subjects.MessageSend, fmt.Sprintf(`{"conversation_id":%d,"content":"lost, and found by its echo"}`, c.ID)},
			{subjects.ConversationStart, `{"inbox_id":1,"contact":{"name":"Bob","email":"bob@example.test"},"initial_message":"hi"}`},
			{subjects.ContactCreate, `{"inbox_id":1,"name":"Eve","email":"eve@example.test"}`},
			{subjects.ConversationHandoff, fmt.Sprintf(`{"conversation_id":%d}`, c.ID)},
			{subjects.ConversationFinish, fmt.Sprintf(`{"conversation_id":%d}`, c.ID)},
		}
		for i, command := range bodies {
			bot.send(command.kind, fmt.Sprint("c", i), command.body)
		}
		for range bodies {
			if m := bot.consume("CX_RESULTS"); m.Headers().Get("Cx-Status") != "done" {
				t.Errorf("result %s: %s", m.Subject(), m.Data())
			}
		}
		reply, err := bot.Conn().SubscribeSync(bot.Conn().NewInbox())
		if err != nil {
			t.Fatal(err)
		}
		asked := &nats.Msg{Subject: "cx.cmd.message.send", Header: nats.Header{"Cx-Reply-To": {reply.Subject}}, Data: []byte(`{"conversation_id":1,"content":"x"}`)}
		if _, err := bot.PublishMsg(t.Context(), asked); err != nil {
			t.Fatal(err)
		}
		if m, err := reply.NextMsg(natstest.Patience); err != nil || m.Header.Get("Cx-Command-Id") == "" {
			t.Errorf("Cx-Reply-To: %v, %v", m, err)
		}
	})
	t.Run("requests", func(t *testing.T) {
		if m, err := bot.Conn().Request("cx.rpc.message.send", fmt.Appendf(nil, `{"conversation_id":%d,"content":"by request"}`, c.ID), natstest.Patience); err != nil || !strings.Contains(string(m.Data), `"command_id"`) {
			t.Errorf("message.send: %v, %v", m, err)
		}
		var state struct{ Paused bool }
		asks(t, operator.Conn(), "bridge.pause", `{}`, &state)
		asks(t, operator.Conn(), "bridge.resume", `{}`, &state)
		var any any
		asks(t, operator.Conn(), "inbox.list", ``, &any)
		asks(t, operator.Conn(), "bridge.status", ``, &any)
		asks(t, operator.Conn(), "bridge.dead.list", ``, &any)
		asks(t, operator.Conn(), "bridge.explain", `{"id":"c1"}`, &any)
	})
	t.Run("operator", func(t *testing.T) { operates(t, operator, bot) })
	t.Run("not a bot's", func(t *testing.T) {
		bot.in(t)
		for _, subject := range []string{
			"cx.message.created", "cx.event.message.created.1.1", "cx.result.message.send.x", "cx.dead.webhook.malformed", "_cx.ledger.claim.x", "$KV.CX_BRIDGE.active",
			"cx.rpc.bridge.pause", "cx.rpc.bridge.dead.replay", "$JS.API.STREAM.MSG.GET.CX_LEDGER", "$JS.API.DIRECT.GET.CX_LEDGER.x", "$JS.API.CONSUMER.CREATE.CX_LEDGER.x.y",
			"$JS.API.CONSUMER.CREATE.CX_EVENTS.bot.cx.message.created", "$JS.API.STREAM.DELETE.CX_EVENTS", "$JS.API.STREAM.PURGE.CX_COMMANDS", "$JS.API.CONSUMER.DELETE.CX_COMMANDS.x",
			"$JS.API.CONSUMER.MSG.NEXT.CX_EVENTS.another", "_INBOX.bridge.x",
		} {
			bot.mayNot(subject)
		}
		// An answer that would be an event is dropped; the request after it is answered.
		if err := bot.Conn().PublishRequest("cx.rpc.inbox.list", "cx.message.created", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := bot.Conn().Request("cx.rpc.inbox.list", nil, natstest.Patience); err != nil {
			t.Fatal(err)
		}
		for _, subject := range []string{"_cx.ledger.>", "cx.cmd.>", "cx.rpc.message.send", "$KV.>", "_INBOX.bridge.>", "cx.*.>", "cx.*.*.*", "*.cmd.>", ">"} {
			bot.mayNotHear(subject)
		}
	})
	t.Run("not an operator's", func(t *testing.T) {
		operator.in(t)
		for _, subject := range []string{"cx.message.created", "cx.result.message.send.x", "_cx.ledger.claim.x", "$KV.CX_BRIDGE.active", "$JS.API.STREAM.DELETE.CX_EVENTS", "$JS.API.STREAM.PURGE.CX_LEDGER"} {
			operator.mayNot(subject)
		}
	})
	if status, body := b.get("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz = %d %s", status, body)
	}
	b.stop()
	if strings.Contains(log.String(), "nats refused") || strings.Contains(log.String(), "missing permission") {
		t.Errorf("something was refused to the bridge:\n%s", log)
	}
}

// operates does what the command line of operators does.
func operates(t *testing.T, operator, bot *user) {
	operator.in(t)
	bot.in(t)
	names, err := subjects.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	account, err := explain.New(operator, names).Explain(t.Context(), "c0")
	if err != nil || len(account.Commands) != 1 {
		t.Errorf("explain: %+v, %v", account, err)
	}
	bucket, err := operator.KeyValue(t.Context(), names.BridgeBucket())
	if err != nil {
		t.Fatal(err)
	}
	s := pause.New(bucket, slog.New(slog.DiscardHandler))
	if _, _, err := s.Pause(t.Context(), "operator", ""); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Resume(t.Context(), "operator", ""); err != nil {
		t.Error(err)
	}
	bot.send(subjects.MessageSend, "broken", `{"no":"such member"}`)
	letters := deadletter.NewStore(operator, names)
	var page deadletter.Page
	natstest.Eventually(t, "the dead letter", func() bool {
		if page, err = letters.List(t.Context(), deadletter.Filter{CommandID: "broken"}); err != nil {
			t.Fatal(err)
		}
		return len(page.Letters) == 1
	})
	letter, err := letters.Get(t.Context(), page.Letters[0].Seq)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := letters.Replay(t.Context(), letter, false); err != nil {
		t.Error(err)
	}
	if err := letters.Drop(t.Context(), letter.Seq); err != nil {
		t.Error(err)
	}
	if refused := operator.complaints(); len(refused) > 0 {
		t.Errorf("refused to the operator: %q", refused)
	}
	if refused := bot.complaints(); len(refused) > 0 {
		t.Errorf("refused to the bot: %q", refused)
	}
}

// TestAMissingPermissionIsToldBySubject takes one permission of the bridge away at a time.
func TestAMissingPermissionIsToldBySubject(t *testing.T) {
	t.Parallel()
	for _, subject := range []string{
		"$JS.API.INFO", "$JS.API.STREAM.CREATE.CX_EVENTS", "$JS.API.STREAM.INFO.CX_LEDGER", "$JS.API.STREAM.CREATE.KV_CX_BRIDGE",
	} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			s := exampleServer(t, func(text string) string { return strings.Replace(text, `"`+subject+`"`, `"not.used"`, 1) })
			_, cfg := bridgeOn(t, s)
			b, _ := runWithLog(t, cfg)
			err := b.ended()
			var missing *broker.PermissionError
			if !errors.As(err, &missing) || missing.Subject != subject || missing.Action != "publish" {
				t.Errorf("Run = %v; want one that names %s", err, subject)
			}
		})
	}
	// What is needed later is told by the log.
	for subject, told := range map[string]string{"$KV.CX_BRIDGE.>": "$KV.CX_BRIDGE.active", "cx.rpc.>": "cx.rpc.", "_cx.ledger.>": "_cx.ledger."} {
		t.Run(subject, func(t *testing.T) {
			t.Parallel()
			s := exampleServer(t, func(text string) string { return strings.Replace(text, `"`+subject+`"`, `"not.used"`, 1) })
			_, cfg := bridgeOn(t, s)
			cfg.Commands.LeaseTTL = 10 * time.Second // it is tried again sooner
			b, log := runWithLog(t, cfg)
			natstest.Eventually(t, "the log to name "+told, func() bool {
				return strings.Contains(log.String(), "missing permission") && strings.Contains(log.String(), told)
			})
			b.end()
			_ = b.ended() // whether it could stop well without the permission is not the question
		})
	}
}
