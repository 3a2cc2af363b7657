package broker_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

func TestExternalServerMayBeAwayAtStart(t *testing.T) {
	s := natstest.Start(t)
	s.Stop()
	log := &record{}
	b := open(t, external(s.URL), func(o *broker.Options) { o.Log = log.logger() })
	if err := b.Healthy(patient(t)); err == nil {
		t.Error("healthy without a server")
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := b.Ready(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ready without a server: %v", err)
	}
	if err := b.Conn().Publish("cx.message.created", nil); !errors.Is(err, nats.ErrReconnectBufExceeded) {
		t.Errorf("a publish while the server is away is not refused: %v", err)
	}
	s.Restart(t)
	ready(t, b)
	if n := log.count("cannot be reached"); n != 1 {
		t.Errorf("%d lines about the absence", n)
	}
	natstest.Eventually(t, "a line about the connection", func() bool { return log.count("connected to nats") == 1 })
}

func TestExternalServerGoesAndComesBack(t *testing.T) {
	s := natstest.Start(t)
	log := &record{}
	b := open(t, external(s.URL), func(o *broker.Options) { o.Log = log.logger() })
	ready(t, b)
	s.Stop()
	natstest.Eventually(t, "a line about the loss", func() bool { return log.count("connection to nats lost") == 1 })
	if err := b.Healthy(patient(t)); err == nil {
		t.Error("healthy without a server")
	}
	s.Restart(t)
	natstest.Eventually(t, "a second line about the connection", func() bool { return log.count("connected to nats") == 2 })
	natstest.Eventually(t, "health", func() bool { return b.Healthy(patient(t)) == nil })
	if n := log.count("connection to nats lost"); n != 1 {
		t.Errorf("%d lines about one loss", n)
	}
}

func TestTheLargestPayloadIsToldAtEachConnection(t *testing.T) {
	limits := make(chan int64, 2)
	s := natstest.Start(t, func(o *server.Options) { o.MaxPayload = 1 << 20 })
	b := open(t, external(s.URL), func(o *broker.Options) { o.Reached = func(limit int64) { limits <- limit } })
	ready(t, b)
	if limit := <-limits; limit != 1<<20 {
		t.Errorf("told %d", limit)
	}
	s.Stop()
	s.Restart(t)
	if limit := <-limits; limit != 1<<20 {
		t.Errorf("told %d after a restart", limit)
	}
}

func TestHealthyMissesADeletedStream(t *testing.T) {
	s := natstest.Start(t)
	b := open(t, external(s.URL))
	ready(t, b)
	if err := b.JetStream().DeleteStream(patient(t), "CX_DEAD"); err != nil {
		t.Fatal(err)
	}
	if err := b.Healthy(patient(t)); err == nil {
		t.Error("healthy without CX_DEAD")
	}
	ready(t, b)
	if err := b.Healthy(patient(t)); err != nil {
		t.Error(err)
	}
}

func TestLoginByNKeyAndByFilesThatChange(t *testing.T) {
	t.Parallel()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password := "one"
	s := natstest.Start(t, func(o *server.Options) {
		o.Nkeys = []*server.NkeyUser{{Nkey: public}}
		o.Users = []*server.User{{Username: "bridge", Password: password}}
	})
	c := external(s.URL)
	c.NKeySeedFile = write("seed", string(seed))
	ready(t, open(t, c))

	c.NKeySeedFile, c.User, c.PasswordFile = "", "bridge", write("password", "one\n")
	b := open(t, c)
	ready(t, b)
	s.Stop()
	password = "two"
	write("password", "two\n")
	s.Restart(t)
	natstest.Eventually(t, "a login with the new password", func() bool { return b.Healthy(patient(t)) == nil })
}

func TestLoginByToken(t *testing.T) {
	s := natstest.Start(t, func(o *server.Options) { o.Authorization = "t0ken" })
	c := external(s.URL)
	c.Token = "t0ken"
	ready(t, open(t, c))
}

func TestWrongPasswordIsNotGivenUpOn(t *testing.T) {
	password := "other"
	s := natstest.Start(t, func(o *server.Options) { o.Username, o.Password = "bridge", password })
	c := external(s.URL)
	c.User, c.Password = "bridge", "right"
	b := open(t, c)
	if b.Conn().IsConnected() {
		t.Fatal("connected with a wrong password")
	}
	password = "right"
	s.Restart(t)
	ready(t, b)
}

func TestInboxPrefix(t *testing.T) {
	s := natstest.Start(t)
	c := external(s.URL)
	c.InboxPrefix = "_INBOX_cx"
	b := open(t, c)
	ready(t, b)
	if inbox := b.Conn().NewInbox(); len(inbox) < 10 || inbox[:10] != "_INBOX_cx." {
		t.Errorf("inbox %s", inbox)
	}
}
