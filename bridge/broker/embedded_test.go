package broker_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestEmbeddedServerMakesItsStreamsAndKeepsMessages(t *testing.T) {
	c := inProcess(t)
	c.Embedded.Sync = "always"
	first := open(t, c)
	ready(t, first)
	if first.ClientURL() != "" {
		t.Errorf("listens on %s, though it should be in process only", first.ClientURL())
	}
	if _, err := first.JetStream().Publish(patient(t), "cx.message.created", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := first.Healthy(patient(t)); err != nil {
		t.Errorf("healthy: %v", err)
	}
	closeBroker(t, first)
	if err := first.Healthy(patient(t)); err == nil {
		t.Error("a closed broker is healthy")
	}
	second := open(t, c)
	ready(t, second)
	stream, err := second.JetStream().Stream(patient(t), "CX_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 1 {
		t.Errorf("%d messages after a restart", n)
	}
	lease, err := second.Lease(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if lease.Bucket() != "CX_BRIDGE" {
		t.Errorf("bucket %s", lease.Bucket())
	}
}

func TestEmbeddedServerListensForOthers(t *testing.T) {
	c := inProcess(t)
	c.Embedded.Listen, c.Embedded.WebsocketListen = "127.0.0.1:0", "127.0.0.1:0"
	b := open(t, c, func(o *broker.Options) { o.MaxPayload = 5 << 20 })
	other, err := nats.Connect(b.ClientURL(), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.MaxPayload() != 5<<20 {
		t.Errorf("max payload %d", other.MaxPayload())
	}
	browser, err := nats.Connect(b.Server().WebsocketURL(), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	browser.Close()
}

func TestEmbeddedServerDemandsTheConfiguredLogin(t *testing.T) {
	c := inProcess(t)
	c.Embedded.Listen, c.User, c.Password = "127.0.0.1:0", "bridge", "secret"
	b := open(t, c)
	ready(t, b)
	if conn, err := nats.Connect(b.ClientURL(), nats.Timeout(natstest.Patience)); err == nil {
		conn.Close()
		t.Error("a stranger could connect")
	}
	conn, err := nats.Connect(b.ClientURL(), nats.UserInfo("bridge", "secret"), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func openError(t *testing.T, c broker.Config, parts ...string) {
	t.Helper()
	b, err := broker.Open(patient(t), c, broker.Options{Names: names(t), Settings: settings()})
	if err == nil {
		closeBroker(t, b)
		t.Fatal("opened")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), "topsecret") {
		t.Errorf("error shows the secret: %v", err)
	}
}

func TestEmbeddedServerRefusesStrangersBeyondLoopback(t *testing.T) {
	c := inProcess(t)
	c.Embedded.Listen = "0.0.0.0:0"
	openError(t, c, "0.0.0.0", "without any authentication", "nats.user")
	c.Embedded.Listen, c.Embedded.WebsocketListen = "", ":0"
	openError(t, c, "websocket", "without any authentication")
	c.Embedded.ConfigFile, c.Embedded.WebsocketListen = configFile(t, "leafnodes { port: -1 }"), ""
	openError(t, c, "leaf nodes", "without any authentication")
	c.Embedded.ConfigFile, c.Embedded.Listen, c.Token = "", "0.0.0.0:0", "topsecret"
	ready(t, open(t, c))
}

func TestEmbeddedServerNamesAnAddressThatIsTaken(t *testing.T) {
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := inProcess(t)
	c.Embedded.Listen = taken.Addr().String()
	openError(t, c, taken.Addr().String(), "nats.embedded.listen", "already in use")
}

func TestTwoEmbeddedServersCannotShareADirectory(t *testing.T) {
	c := inProcess(t)
	open(t, c)
	openError(t, c, "in use by another process", c.Embedded.StoreDir)
}

func configFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const accounts = `
listen: "127.0.0.1:-1"
accounts {
  CX { jetstream: enabled, users: [{user: bridge, password: topsecret}, {user: bot, password: topsecret, permissions: {publish: "cx.cmd.>"}}] }
  OTHER { users: [{user: other, password: topsecret}] }
}`

func TestEmbeddedServerWithAConfigurationFile(t *testing.T) {
	c := inProcess(t)
	c.Embedded.ConfigFile, c.User, c.Password = configFile(t, accounts), "bridge", "topsecret"
	b := open(t, c)
	ready(t, b)
	bot, err := nats.Connect(b.ClientURL(), nats.UserInfo("bot", "topsecret"), nats.Timeout(natstest.Patience))
	if err != nil {
		t.Fatal(err)
	}
	bot.Close()
}

func TestEmbeddedServerWithAConfigurationFileThatShutsTheBridgeOut(t *testing.T) {
	t.Parallel()
	c := inProcess(t)
	c.Embedded.ConfigFile = configFile(t, accounts)
	openError(t, c, "refused the bridge itself", "nats.user")
	c.Embedded.ConfigFile = configFile(t, "no such key: 1")
	openError(t, c, "nats.embedded.config_file")
	c.Embedded.ConfigFile, c.User, c.Password = configFile(t, accounts), "other", "topsecret"
	b := open(t, c)
	if err := b.Ready(patient(t)); err == nil || !strings.Contains(err.Error(), "has no JetStream") {
		t.Errorf("account without JetStream: %v", err)
	}
}

func TestHealthyTellsThatTheStorageIsUsedUp(t *testing.T) {
	c := inProcess(t)
	c.Embedded.MaxStoreBytes = 1 << 20
	b := open(t, c)
	ready(t, b)
	if err := b.Healthy(patient(t)); err != nil {
		t.Fatalf("an empty server: %v", err)
	}
	ctx := patient(t)
	for stored := 0; ; stored++ {
		if _, err := b.JetStream().Publish(ctx, "cx.message.created", make([]byte, 100<<10)); err != nil {
			break
		}
		if stored > 100 {
			t.Fatal("the limit does not hold")
		}
	}
	if err := b.Healthy(patient(t)); err == nil {
		t.Error("a server without storage is called healthy")
	}
	stream, err := b.JetStream().Stream(ctx, names(t).EventsStream())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Healthy(patient(t)); err != nil {
		t.Errorf("after a purge: %v", err)
	}
}
