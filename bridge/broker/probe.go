package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"github.com/nats-io/nats-server/v2/server"
)

// probe finds addresses that are taken before the server does, whose own error is less clear.
func probe(ctx context.Context, o *server.Options) error {
	if !o.DontListen && o.Port > 0 {
		if err := free(ctx, "nats.embedded.listen", o.Host, o.Port); err != nil {
			return err
		}
	}
	if o.Websocket.Port > 0 {
		return free(ctx, "nats.embedded.websocket_listen", o.Websocket.Host, o.Websocket.Port)
	}
	return nil
}

func free(ctx context.Context, key, host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s: %s is already in use by another process: stop it, or choose another address", key, address)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return listener.Close()
}
