package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/pause"
)

func pauseCommand() *cobra.Command {
	return switchCommand(&cobra.Command{
		Use: "pause", Short: "Stop carrying out commands; webhooks go on", Args: noArgs,
		Long: "Let all bridges begin no more calls at the API. Calls under way end, commands go on to be stored, and webhooks go on to be published.\n" +
			"It lasts until cxbridge resume, also over restarts of the bridge.",
	}, queryPause, "Commands are paused. They go on with: cxbridge resume", "Commands were paused before, since %s.")
}

func resumeCommand() *cobra.Command {
	return switchCommand(&cobra.Command{
		Use: "resume", Short: "Go on carrying out commands", Args: noArgs,
		Long: "Let the bridge go on with commands after cxbridge pause.",
	}, queryResume, "Commands go on.", "Commands were not paused.")
}

func switchCommand(cmd *cobra.Command, query, done, before string) *cobra.Command {
	reason := cmd.Flags().String("reason", "", "why, for the others")
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, _ []string, asJSON bool) error {
		turned, err := ask[bridge.Turned](cmd.Context(), &b.querier, query, bridge.TurnRequest{By: operator(), Reason: *reason})
		if err == nil {
			err = b.tellAlone(cmd, query)
		}
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(cmd.OutOrStdout(), turned)
		case turned.Changed:
			return say(cmd.OutOrStdout(), "%s", done)
		case turned.Paused:
			return say(cmd.OutOrStdout(), before+"%s", turned.Since.String(), aside(turned.State))
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
