package main

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/cxapi"
)

func inboxCommand() *cobra.Command {
	return group("inbox", "Inboxes of the tenant", inboxListCommand())
}

func inboxListCommand() *cobra.Command {
	return apiCommand("list", "List the inboxes", func(cmd *cobra.Command, client *cxapi.Client, asJSON bool) error {
		inboxes, err := client.ListInboxes(cmd.Context())
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), inboxRows(inboxes))
		}
		for _, i := range inboxes {
			if err := say(cmd.OutOrStdout(), "%-8s %-30s %s", i.ID, i.Name, i.ChannelType); err != nil {
				return err
			}
		}
		return nil
	})
}

type inboxRow struct {
	ID          cxapi.ID `json:"id"`
	Name        string   `json:"name"`
	ChannelType string   `json:"channel_type"`
}

func inboxRows(inboxes []cxapi.Inbox) []inboxRow {
	rows := make([]inboxRow, 0, len(inboxes))
	for _, i := range inboxes {
		rows = append(rows, inboxRow{ID: i.ID, Name: i.Name, ChannelType: i.ChannelType})
	}
	return rows
}

// apiCommand makes a command that needs nothing but the API.
func apiCommand(name, short string, run func(cmd *cobra.Command, client *cxapi.Client, asJSON bool) error) *cobra.Command {
	return configuredCommand(name, short, func(cmd *cobra.Command, _ bridge.Config, client *cxapi.Client, asJSON bool) error {
		return run(cmd, client, asJSON)
	})
}

// configuredCommand makes one that looks at the rest of the configuration, too, of which nothing is checked.
func configuredCommand(name, short string, run func(cmd *cobra.Command, cfg bridge.Config, client *cxapi.Client, asJSON bool) error) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short, Args: noArgs}
	load := configFlags(cmd, true)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		client, err := cfg.CX.NewClient("cxbridge/"+bridge.Version(), 1)
		if err != nil {
			return err
		}
		defer client.CloseIdleConnections()
		return again(cmd.Context(), func() error { return run(cmd, cfg, client, *asJSON) })
	}
	return cmd
}

// again repeats a call a few times that was certainly not carried out, and may be next time.
func again(ctx context.Context, call func() error) error {
	pauses := backoff.NewExponentialBackOff(backoff.WithInitialInterval(300 * time.Millisecond))
	return backoff.Retry(func() error {
		err := call()
		var failed *cxapi.Error
		if errors.As(err, &failed) && failed.Outcome == cxapi.OutcomeLater && failed.RetryAfter < time.Minute {
			select {
			case <-time.After(failed.RetryAfter):
			case <-ctx.Done():
			}
			return err
		}
		if err != nil {
			return backoff.Permanent(err)
		}
		return nil
	}, backoff.WithContext(backoff.WithMaxRetries(pauses, 3), ctx))
}

// needed refuses flags that were left out.
func needed(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if !cmd.Flags().Changed(name) {
			return usageError{errors.New("--" + name + " is needed; see " + cmd.CommandPath() + " --help")}
		}
	}
	return nil
}
