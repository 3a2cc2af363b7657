package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/bridge/rpc"
)

// startWholeBus is a bus with all streams and buckets of a bridge, and no bridge.
func startWholeBus(t *testing.T, prefix string, change ...natstest.Option) *deadBus {
	t.Helper()
	t.Setenv(configVariable, "")
	s, names := natstest.Start(t, change...), namesOf(t, prefix)
	b := &deadBus{T: t, server: s, url: s.URL, names: names}
	b.js = s.JetStream(t)
	natstest.Eventually(t, "JetStream of the account", func() bool { _, err := b.js.AccountInfo(b.ctx()); return err == nil })
	cfg := bridge.DefaultConfig()
	cfg.NATS.Mode, cfg.NATS.URL, cfg.Subjects.Prefix = broker.External, b.url, prefix
	made, err := broker.Open(b.ctx(), cfg.NATS, broker.Options{Names: names, Settings: cfg.StreamSettings()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = made.Close(context.Background()) }() // what it made is on the server
	if err := made.Ready(b.ctx()); err != nil {
		t.Fatal(err)
	}
	b.store = deadletter.NewStore(b.js, names)
	return b
}

// runBridge runs a bridge on the bus until the end of the test. It carries out no commands, so that replays stay where they are.
func (b *deadBus) runBridge(change ...func(*bridge.Config)) {
	b.Helper()
	cfg := bridge.DefaultConfig()
	cfg.NATS.Mode, cfg.NATS.URL, cfg.Subjects.Prefix = broker.External, b.url, b.names.Prefix()
	cfg.CX.TenantDomain, cfg.Commands.Enabled = "acme.test", false
	cfg.Webhook.Listen, cfg.Admin.Listen, cfg.Webhook.PathTokens = "127.0.0.1:0", "127.0.0.1:0", []string{"path-token-0123456789"}
	cfg.Spool.Dir, cfg.Grace = b.TempDir(), natstest.Patience
	for _, change := range change {
		change(&cfg)
	}
	made, err := bridge.New(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- made.Run(ctx) }()
	b.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			b.Errorf("Run = %v", err)
		}
	})
	select {
	case <-made.Ready():
	case err := <-ended:
		b.Fatalf("Run = %v", err)
	case <-time.After(natstest.Patience):
		b.Fatal("the bridge is not ready")
	}
}

// serve answers queries as a bridge does, by the micro service itself, until the end of the test.
func (b *deadBus) serve(queries map[string]rpc.Query, opts ...nats.Option) {
	b.Helper()
	service := rpc.New(rpc.Config{Timeout: natstest.Patience}, rpc.Deps{
		Names: b.names, Conn: b.server.Conn(b, opts...), JetStream: b.js, Queries: queries, Version: "1.2.3", Log: slog.New(slog.DiscardHandler),
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := service.Run(ctx); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() { stop(); running.Wait() })
	for query := range queries {
		natstest.Eventually(b, query+" to be heard", func() bool {
			return b.server.Server().GlobalAccount().Interest(b.names.RPCSubject(query)) > 0
		})
	}
}

// listen returns how often queries were asked since the last call, by name.
func (b *deadBus) listen() func() map[string]int {
	b.Helper()
	sub, err := b.js.Conn().SubscribeSync(b.names.RPCSubject("bridge.>"))
	if err != nil {
		b.Fatal(err)
	}
	return func() map[string]int {
		b.Helper()
		if err := b.js.Conn().FlushTimeout(natstest.Patience); err != nil {
			b.Fatal(err)
		}
		asked := map[string]int{}
		for n, _, err := sub.Pending(); n > 0; n-- {
			if err != nil {
				b.Fatal(err)
			}
			m, err := sub.NextMsg(natstest.Patience)
			if err != nil {
				b.Fatal(err)
			}
			asked[strings.TrimPrefix(m.Subject, b.names.RPCSubject(""))]++
		}
		return asked
	}
}

// runs runs a command line and returns everything that it says, without what is different each time.
func (b *deadBus) runs(args ...string) (told, note string) {
	b.Helper()
	var out, errOut bytes.Buffer
	status := execute(b.ctx(), b.on(args), &out, &errOut)
	text := fmt.Sprintf("exit status %d\n%s%s", status, &out, &errOut)
	for form, instead := range map[string]string{
		`\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?`: "TIME", `replay-[0-9A-Za-z]+(-[0-9a-z]+)?`: "REPLAY", "  +": "  ",
	} {
		text = regexp.MustCompile(form).ReplaceAllString(text, instead)
	}
	text, found := strings.CutSuffix(text, "Note: no bridge answers on this bus; it takes effect when one runs.\n")
	if found {
		note = "alone"
	}
	return text, note
}
