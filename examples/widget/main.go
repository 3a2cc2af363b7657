// Command widget serves a chat widget for visitors of a web site. It is a client of NATS, where cxbridge carries messages from and to Sangoma CX.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/examples/widget/gateway"
	"github.com/cxbridge/cxbridge/subjects"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "widget:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	cfg := gateway.DefaultConfig()
	flags := flag.NewFlagSet("widget", flag.ContinueOnError)
	url := flags.String("nats", nats.DefaultURL, "servers of NATS, comma separated")
	credentials := flags.String("creds", "", "file with credentials for NATS")
	prefix := flags.String("prefix", subjects.DefaultPrefix, "prefix of the bridge's subjects")
	listen := flags.String("listen", "127.0.0.1:8085", "address for browsers")
	flags.StringVar(&cfg.InboxID, "inbox", cfg.InboxID, "inbox in which conversations begin; one for an API channel")
	flags.StringVar(&cfg.Title, "title", cfg.Title, "what stands above the chat")
	flags.BoolVar(&cfg.Keyed, "keyed", cfg.Keyed, "the bridge runs with subjects.keyed")
	flags.BoolVar(&cfg.Secure, "secure", cfg.Secure, "visitors come by HTTPS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	names, err := subjects.New(*prefix)
	if err != nil {
		return err
	}
	options := []nats.Option{nats.Name("widget"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true), nats.ReconnectBufSize(-1)}
	if *credentials != "" {
		options = append(options, nats.UserCredentials(*credentials))
	}
	conn, err := nats.Connect(*url, options...)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return serve(ctx, *listen, gateway.New(cfg, js, names, log), log)
}

// serve runs the gateway until ctx ends.
func serve(ctx context.Context, address string, g *gateway.Gateway, log *slog.Logger) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: g.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	var running sync.WaitGroup
	running.Go(func() { g.Run(ctx) })
	running.Go(func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			_ = server.Close() // what is still open after the grace is cut
		}
	})
	log.InfoContext(ctx, "the widget is served", "address", "http://"+listener.Addr().String()+"/")
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	running.Wait()
	return nil
}
