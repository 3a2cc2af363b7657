package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi/cxsim"
	"github.com/cxbridge/cxbridge/subjects"
)

// demoOptions are the flags of the demo.
type demoOptions struct {
	natsPort, webhookPort, adminPort, simPort, chatPort int
	once, open, verbose                                 bool
	pace                                                time.Duration // between two lines of the customer, so that people can follow
}

func demoCommand() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use: "demo", Short: "See it work: NATS, a simulated CX, the bridge with its console, a bot and a chat in one process", Args: noArgs,
		Long: "Run everything in one process on loopback: an embedded NATS server, a simulated CX, the bridge, a bot and a scripted customer,\n" +
			"and a chat for your browser, with the desk of the human agent beside it. Nothing is left behind. Stop it with Ctrl-C.",
	}
	f := cmd.Flags()
	f.IntVar(&o.natsPort, "port", 4222, "port of NATS; another free one if it is taken")
	f.IntVar(&o.webhookPort, "webhook-port", 8080, "port for webhooks, likewise")
	f.IntVar(&o.adminPort, "admin-port", 8081, "port for operators, likewise")
	f.IntVar(&o.simPort, "sim-port", 8090, "port of the simulated CX, likewise")
	f.IntVar(&o.chatPort, "chat-port", 8085, "port of the chat and the agent's desk, likewise")
	f.BoolVar(&o.open, "open", false, "open the chat in the browser")
	f.BoolVar(&o.once, "once", false, "end after the first round trip")
	f.DurationVar(&o.pace, "pace", 1500*time.Millisecond, "pause before each line of the customer")
	f.BoolVar(&o.verbose, "verbose", false, "show the log of the bridge")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return runDemo(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

// demo is everything that runs.
type demo struct {
	options demoOptions
	out     io.Writer
	dir     string
	sim     *cxsim.Sim
	token   string // of webhooks
	bridge  *bridge.Bridge
	names   subjects.Names
	chat    string     // URL of the chat
	ended   chan error // the bridge's
}

func runDemo(ctx context.Context, o demoOptions, out, errOut io.Writer) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d := &demo{options: o, out: out, token: rand.Text(), ended: make(chan error, 1)}
	if d.dir, err = os.MkdirTemp("", "cxbridge-demo-"); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	if err := d.startSim(); err != nil {
		return err
	}
	defer d.sim.Close()
	if err := d.startBridge(ctx, errOut); err != nil {
		return err
	}
	defer func() {
		cancel()
		err = errors.Join(err, <-d.ended)
	}()
	select {
	case <-d.bridge.Ready():
	case err := <-d.ended:
		d.ended <- nil
		return err
	case <-ctx.Done():
		return nil
	}
	return d.perform(ctx)
}

func (d *demo) startSim() error {
	port, err := d.port("the simulated CX", d.options.simPort)
	if err != nil {
		return err
	}
	d.sim = cxsim.New(cxsim.Options{WebhookAttempts: -1, JournalLimit: 1000})
	if _, err := d.sim.Start(port); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return nil
}

func (d *demo) startBridge(ctx context.Context, errOut io.Writer) error {
	cfg, err := d.config()
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(errOut, cfg.Log)
	if err != nil {
		return err
	}
	if d.names, err = subjects.New(cfg.Subjects.Prefix); err != nil {
		return err
	}
	if d.bridge, err = bridge.New(cfg, log); err != nil {
		return err
	}
	go func() { d.ended <- d.bridge.Run(ctx) }()
	return nil
}

// config is what somebody who runs a bridge of their own would write down.
func (d *demo) config() (bridge.Config, error) {
	cfg := bridge.DefaultConfig()
	cfg.CX.BaseURL, cfg.CX.TenantDomain, cfg.CX.AccessToken = d.sim.URL(), cxsim.DefaultTenant, cxsim.DefaultToken
	cfg.Webhook.PathTokens = []string{d.token}
	cfg.NATS.Embedded.StoreDir = filepath.Join(d.dir, "nats")
	cfg.Grace = 2 * time.Second
	cfg.Log = telemetry.Config{Level: "warn", Format: telemetry.FormatText}
	if d.options.verbose {
		cfg.Log.Level = "debug"
	}
	var err error
	for _, a := range []struct {
		what   string
		port   int
		listen *string
	}{
		{"NATS", d.options.natsPort, &cfg.NATS.Embedded.Listen},
		{"webhooks", d.options.webhookPort, &cfg.Webhook.Listen},
		{"operators", d.options.adminPort, &cfg.Admin.Listen},
	} {
		if *a.listen, err = d.port(a.what, a.port); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// port returns a loopback address with the wanted port, or with another free one if that is taken, and says so.
func (d *demo) port(what string, wanted int) (string, error) {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted))
	taken := tryListen(&address)
	if taken == nil {
		return address, nil
	}
	address = "127.0.0.1:0"
	if err := tryListen(&address); err != nil {
		return "", fmt.Errorf("demo: no free port for %s: %w", what, err)
	}
	return address, say(d.out, "Port %d for %s is taken; using %s instead.", wanted, what, address)
}

// tryListen finds out whether an address is free, and which port 0 is.
func tryListen(address *string) error {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", *address)
	if err != nil {
		return err
	}
	*address = l.Addr().String()
	return l.Close()
}

// perform lets the conversation happen and shows it.
func (d *demo) perform(ctx context.Context) error {
	conn, err := nats.Connect(d.bridge.NATSURL(), nats.Name("cxbridge demo: watcher"), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("demo: watch: %w", err)
	}
	defer conn.Close()
	seen := make(chan *nats.Msg, 1024)
	if _, err := conn.ChanSubscribe(d.names.Prefix()+".>", seen); err != nil {
		return fmt.Errorf("demo: watch: %w", err)
	}
	if err := conn.FlushTimeout(time.Minute); err != nil {
		return fmt.Errorf("demo: watch: %w", err)
	}
	stopBot, err := startBot(ctx, d.bridge.NATSURL(), d.names)
	if err != nil {
		return fmt.Errorf("demo: bot: %w", err)
	}
	defer stopBot()
	d.sim.Subscribe("http://"+d.bridge.WebhookAddr().String()+"/webhooks/"+d.token,
		subjects.EventConversationCreated, subjects.EventMessageCreated, "conversation_status_changed")
	if d.options.once {
		return d.show(ctx, seen)
	}
	stopChat, err := d.startChat(ctx)
	if err != nil {
		return err
	}
	defer stopChat()
	if err := d.invite(ctx); err != nil {
		return err
	}
	return d.show(ctx, seen)
}
