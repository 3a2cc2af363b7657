package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge/pause"
)

func pauseCommand() *cobra.Command {
	return switchCommand(&cobra.Command{
		Use: "pause", Short: "Stop carrying out commands; webhooks go on", Args: noArgs,
		Long: "Let all bridges begin no more calls at the API. Calls under way end, commands go on to be stored, and webhooks go on to be published.\n" +
			"It lasts until cxbridge resume, also over restarts of the bridge.",
	}, (*pause.Switch).Pause, "Commands are paused. They go on with: cxbridge resume", "Commands were paused before, since %s.")
}

func resumeCommand() *cobra.Command {
	return switchCommand(&cobra.Command{
		Use: "resume", Short: "Go on carrying out commands", Args: noArgs,
		Long: "Let the bridge go on with commands after cxbridge pause.",
	}, (*pause.Switch).Resume, "Commands go on.", "Commands were not paused.")
}

// switched is the answer in JSON.
type switched struct {
	pause.State
	Changed bool `json:"changed"`
}

func switchCommand(cmd *cobra.Command, turn func(s *pause.Switch, ctx context.Context, by, reason string) (pause.State, bool, error), done, before string) *cobra.Command {
	reason := cmd.Flags().String("reason", "", "why, for the others")
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, _ []string, asJSON bool) error {
		bucket, err := b.JetStream().KeyValue(cmd.Context(), b.names.BridgeBucket())
		if err != nil {
			return fmt.Errorf("bucket %s: %w", b.names.BridgeBucket(), err)
		}
		state, changed, err := turn(pause.New(bucket, slog.New(slog.DiscardHandler)), cmd.Context(), operator(), *reason)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(cmd.OutOrStdout(), switched{State: state, Changed: changed})
		case changed:
			return say(cmd.OutOrStdout(), "%s", done)
		case state.Paused:
			return say(cmd.OutOrStdout(), before+"%s", state.Since.String(), aside(state))
		}
		return say(cmd.OutOrStdout(), "%s", before)
	})
}

// aside tells who paused commands, and why.
func aside(s pause.State) string {
	text := ""
	if s.By != "" {
		text += " By: " + plain(s.By) + "."
	}
	if s.Reason != "" {
		text += " Reason: " + plain(s.Reason) + "."
	}
	return text
}

// operator names whoever types, for people.
func operator() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	if user := os.Getenv("USER"); user != "" {
		return user + "@" + host
	}
	return host
}
