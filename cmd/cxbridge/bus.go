package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/subjects"
)

const (
	directHelp = `
It asks a bridge on the bus. If none answers, or with --direct, it does the same itself, from the streams.`
	busHelp = `
The bus is where the configuration of the bridge says, its embedded server included, or where --nats says.`
)

// bus is the connection of a command that asks a bridge on the bus, or does without one.
type bus struct {
	*broker.Broker
	querier
}

// busCommand makes a command that asks a bridge, and needs nothing but the bus if there is none; run gets the arguments.
func busCommand(cmd *cobra.Command, run func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error) *cobra.Command {
	cmd.Long = strings.TrimSpace(cmd.Long + "\n" + directHelp)
	direct := cmd.Flags().Bool("direct", false, "go to the streams, without asking a bridge")
	return bridgeCommand(cmd, func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error {
		b.direct = *direct
		return run(cmd, b, args, asJSON)
	})
}

// bridgeCommand makes a command that asks a bridge on the bus.
func bridgeCommand(cmd *cobra.Command, run func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error) *cobra.Command {
	cmd.Long = strings.TrimSpace(cmd.Long + busHelp)
	sources := sourceFlags(cmd)
	at := cmd.Flags().String("nats", "", "URL of the bus, instead of where the configuration says")
	limit := cmd.Flags().Duration("timeout", 15*time.Second, "how long to wait for the connection to the bus")
	wait := cmd.Flags().Duration("wait", defaultWait, "how long to wait for each answer of a bridge")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if *wait <= 0 || *wait > mostWait {
			return usageError{fmt.Errorf("--wait must be from 1ms to %s, not %s", mostWait, *wait)}
		}
		from := sources()
		from.BusOnly = true
		if *at != "" {
			from.Flags["nats.mode"], from.Flags["nats.url"] = broker.External, *at
		}
		cfg, err := bridge.LoadConfig(from)
		if err != nil {
			return err
		}
		b, err := openBus(cmd.Context(), cfg, *limit)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.Close(context.WithoutCancel(cmd.Context()))) }()
		b.wait = *wait
		return b.explained(run(cmd, b, args, *asJSON))
	}
	return cmd
}

// openBus connects as the bridge does, to its embedded server if it has one.
func openBus(ctx context.Context, cfg bridge.Config, limit time.Duration) (*bus, error) {
	names, err := subjects.New(cfg.Subjects.Prefix)
	if err != nil {
		return nil, err
	}
	if cfg.NATS.Mode == broker.Embedded {
		if cfg.NATS.URL, err = embeddedURL(cfg.NATS.Embedded.Listen); err != nil {
			return nil, usageError{err}
		}
		cfg.NATS.Mode = broker.External
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	opened, err := broker.Open(ctx, cfg.NATS, broker.Options{Names: names, Name: "cxbridge: operator"})
	if err != nil {
		return nil, err
	}
	err = connected(ctx, opened.Conn())
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("nothing answered in %s; is it running?", limit)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("no connection to the bus at %s: %w", address(cfg.NATS.URL), err), opened.Close(context.WithoutCancel(ctx)))
	}
	b := &bus{Broker: opened, querier: querier{conn: opened.Conn(), names: names, own: bridge.BusQueries(opened.JetStream(), names)}}
	b.conn.SetErrorHandler(b.failed)
	return b, nil
}

// embeddedURL is where the embedded server of a running bridge can be reached from outside its process.
func embeddedURL(listen string) (string, error) {
	if listen == "" {
		return "", errors.New("nats.embedded.listen is empty, so that the bus is inside the process of the bridge, and nobody else can reach it; " +
			"set it to an address such as 127.0.0.1:4222")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("nats.embedded.listen: %w", err)
	}
	if port == "0" {
		return "", errors.New("nats.embedded.listen has port 0, so that only the bridge knows where its bus is; give its address with --nats")
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "nats://" + net.JoinHostPort(host, port), nil
}

// connected waits until there is a connection, or until it is clear that there will not be one.
func connected(ctx context.Context, conn *nats.Conn) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !conn.IsConnected() {
		last := conn.LastError()
		if errors.Is(last, nats.ErrAuthorization) || errors.Is(last, nats.ErrAuthExpired) {
			return last
		}
		select {
		case <-ctx.Done():
			if last != nil && !errors.Is(ctx.Err(), context.Canceled) {
				return last
			}
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// address is where a URL, or each of several, leads, without a login.
func address(urls string) string {
	var all []string
	for part := range strings.SplitSeq(urls, ",") {
		if u, err := url.Parse(strings.TrimSpace(part)); err == nil {
			all = append(all, u.Scheme+"://"+u.Host)
		}
	}
	return strings.Join(all, ", ")
}

// explained tells what to do about errors whose cause is known.
func (b *bus) explained(err error) error {
	refused := b.refusal()
	switch {
	case err != nil && refused != nil:
		return fmt.Errorf("%w; %w", err, refused)
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrBucketNotFound):
		return fmt.Errorf("%w: no bridge has run on this bus with subjects.prefix %q", err, b.names.Prefix())
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%w: JetStream does not answer at %s", err, b.ClientURL())
	}
	return err
}

// tellAlone tells that something was changed on a bus on which nobody acts upon it.
func (b *bus) tellAlone(cmd *cobra.Command, query string) error {
	if !errors.Is(b.unheard[query], errNobody) {
		return nil
	}
	return say(cmd.ErrOrStderr(), "Note: no bridge answers on this bus; it takes effect when one runs.")
}

// plain makes a text of others safe for a terminal.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// cut shortens a text to so many characters.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}

// counted is "1 letter" or "2 letters".
func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
