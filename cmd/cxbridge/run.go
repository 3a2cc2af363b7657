package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run the bridge", Args: noArgs,
		Long: "Run the bridge until SIGINT or SIGTERM, which finishes what is in hand. A second signal stops at once; nothing is lost then,\n" +
			"either. SIGHUP, or a change of its file, lets it read the configuration again: what can change while it runs changes, all or\n" +
			"nothing, and the log tells which keys need a restart. One line on standard output tells when the bridge is ready; everything\n" +
			"else is logged on standard error.",
	}
	sources := sourceFlags(cmd)
	grace := cmd.Flags().Duration("grace", bridge.DefaultGrace, "how long a soft stop may take to finish what is in hand")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *grace < 0 {
			return usageError{fmt.Errorf("--grace must not be negative, not %s", *grace)}
		}
		from := sources()
		cfg, err := bridge.LoadConfig(from)
		if err != nil {
			return err
		}
		cfg.Grace = *grace
		return runBridge(cmd.Context(), cfg, from, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func runBridge(ctx context.Context, cfg bridge.Config, from bridge.Sources, out, errOut io.Writer) error {
	log, level, err := telemetry.NewAdjustable(errOut, cfg.Log)
	if err != nil {
		return err
	}
	defer tuneCollector()()
	defer level.Flush()
	traces, err := telemetry.NewTraces(ctx, bridge.Version(), log)
	if err != nil {
		return usageError{err}
	}
	b, err := bridge.New(cfg, log, bridge.WithLevel(level), bridge.WithTraces(traces))
	if err != nil {
		return err
	}
	defer keepCurrent(ctx, b, from)()
	ended := make(chan struct{})
	announced := make(chan error, 1)
	begun := time.Now()
	go func() {
		select {
		case <-b.Ready():
			announced <- say(out, "cxbridge %s is ready after %s: webhooks on %s, console at %s, nats at %s", bridge.Version(),
				time.Since(begun).Round(time.Millisecond), webhookURL(cfg, b.WebhookAddr().String()), consoleURL(cfg, b.AdminAddr().String()), natsAt(b))
		case <-ended:
			announced <- nil
		}
	}()
	err = b.Run(ctx)
	close(ended)
	if told := <-announced; err == nil {
		err = told
	}
	finish(ctx, traces, cfg.Grace, log)
	return err
}

// flushLimit is how long a collector that does not answer may delay the end, at most.
const flushLimit = 5 * time.Second

// finish exports the last spans. That a collector does not take them is no failure of the bridge.
func finish(ctx context.Context, traces *telemetry.Traces, grace time.Duration, log *slog.Logger) {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(grace, flushLimit))
	defer cancel()
	if err := traces.Shutdown(limit); err != nil {
		log.Warn("the last traces could not be exported", "error", err)
	}
}

// keepCurrent lets the bridge read its configuration again at SIGHUP, and when its file changes, until the function that it returns was called.
func keepCurrent(ctx context.Context, b *bridge.Bridge, from bridge.Sources) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	again := make(chan os.Signal, 1)
	signal.Notify(again, syscall.SIGHUP)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.KeepCurrent(ctx, from, again)
	}()
	return func() {
		cancel()
		<-ended
		signal.Stop(again)
	}
}

func webhookURL(cfg bridge.Config, address string) string {
	scheme := "http"
	if cfg.Webhook.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + address + "/webhooks/<path token>"
}

func consoleURL(cfg bridge.Config, address string) string {
	if cfg.Admin.TLS.CertFile != "" {
		return "https://" + address + "/"
	}
	return "http://" + address + "/"
}

func natsAt(b *bridge.Bridge) string {
	if url := b.NATSURL(); url != "" {
		return url
	}
	return "this process only"
}
