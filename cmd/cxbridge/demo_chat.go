package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/examples/widget/gateway"
)

// agentPath is where the agent's desk of the simulated CX stands, beside the chat.
const agentPath = "/_sim/"

// startChat serves the chat widget and the agent's desk at one address. It returns how to stop them.
func (d *demo) startChat(ctx context.Context) (stop func(), err error) {
	address, err := d.port("the chat", d.options.chatPort)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("demo: chat: %w", err)
	}
	conn, err := nats.Connect(d.bridge.NATSURL(), nats.Name("cxbridge demo: widget"), nats.MaxReconnects(-1))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("demo: chat: %w", err), listener.Close())
	}
	js, err := jetstream.New(conn)
	if err != nil {
		conn.Close()
		return nil, errors.Join(fmt.Errorf("demo: chat: %w", err), listener.Close())
	}
	d.chat = "http://" + listener.Addr().String()
	widget := gateway.New(gateway.DefaultConfig(), js, d.names, slog.New(slog.DiscardHandler))
	mux := http.NewServeMux()
	mux.Handle("/", widget.Handler())
	mux.Handle(agentPath, d.sim.Handler())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	running.Go(func() { widget.Run(ctx) })
	running.Go(func() { _ = server.Serve(listener) }) // it ends with the error that says that it was closed
	return func() {
		cancel()
		_ = server.Close() // of a listener that is thrown away
		running.Wait()
		conn.Close()
	}, nil
}

// invite tells where to look, and looks there if that is wanted.
func (d *demo) invite(ctx context.Context) error {
	err := say(d.out, "Chat with the bot in your browser:  %s/\nAnswer as the human agent:          %s%s\nSee what the bridge does:           http://%s/", d.chat, d.chat, agentPath, d.bridge.AdminAddr())
	switch {
	case err != nil:
		return err
	case !d.options.open:
		return say(d.out, "(With --open the chat opens in your browser by itself.)\n")
	}
	name, args := "xdg-open", []string{}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler"}
	}
	if err := exec.CommandContext(ctx, name, append(args, d.chat+"/")...).Start(); err != nil {
		return say(d.out, "The browser does not open by itself: %v\n", err)
	}
	return nil
}
