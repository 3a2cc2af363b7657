package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "run", Short: "Run the bridge", Args: noArgs,
		Long: "Run the bridge until SIGINT or SIGTERM, which finishes what is in hand. A second signal stops at once; nothing is lost then,\n" +
			"either. One line on standard output tells when the bridge is ready; everything else is logged on standard error.",
	}
	load := configFlags(cmd, false)
	grace := cmd.Flags().Duration("grace", bridge.DefaultGrace, "how long a soft stop may take to finish what is in hand")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *grace < 0 {
			return usageError{fmt.Errorf("--grace must not be negative, not %s", *grace)}
		}
		cfg, err := load()
		if err != nil {
			return err
		}
		cfg.Grace = *grace
		return runBridge(cmd.Context(), cfg, cmd.OutOrStdout(), cmd.ErrOrStderr())
	}
	return cmd
}

func runBridge(ctx context.Context, cfg bridge.Config, out, errOut io.Writer) error {
	log, err := telemetry.NewLogger(errOut, cfg.Log)
	if err != nil {
		return err
	}
	b, err := bridge.New(cfg, log)
	if err != nil {
		return err
	}
	ended := make(chan struct{})
	announced := make(chan error, 1)
	begun := time.Now()
	go func() {
		select {
		case <-b.Ready():
			announced <- say(out, "cxbridge %s is ready after %s: webhooks on %s, admin on http://%s, nats at %s", bridge.Version(),
				time.Since(begun).Round(time.Millisecond), webhookURL(cfg, b.WebhookAddr().String()), b.AdminAddr(), natsAt(b))
		case <-ended:
			announced <- nil
		}
	}()
	err = b.Run(ctx)
	close(ended)
	if told := <-announced; err == nil {
		err = told
	}
	return err
}

func webhookURL(cfg bridge.Config, address string) string {
	scheme := "http"
	if cfg.Webhook.TLS.CertFile != "" {
		scheme = "https"
	}
	return scheme + "://" + address + "/webhooks/<path token>"
}

func natsAt(b *bridge.Bridge) string {
	if url := b.NATSURL(); url != "" {
		return url
	}
	return "this process only"
}
