package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/explain"
	"github.com/cxbridge/cxbridge/subjects"
)

func explainCommand() *cobra.Command {
	conversation := ""
	newer := age(24 * time.Hour)
	cmd := &cobra.Command{
		Use: "explain [ID]", Short: "Tell everything known of a command, a message, an event or a conversation",
		Long: "Tell everything known of a command id, a message id or an event id, or of a conversation, in order of time: when it was published, claimed, tried,\n" +
			"echoed, recorded and answered, and where it stands if it has not ended. Bodies are not shown.",
	}
	cmd.Flags().StringVar(&conversation, "conversation", "", "id of a conversation, instead of ID")
	cmd.Flags().Var(&newer, "newer-than", "how far back the story of a conversation goes, such as 90m or 7d")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if conversation != "" {
			return noArgs(cmd, args)
		}
		return oneID(cmd, args)
	}
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error {
		request := bridge.ExplainRequest{Conversation: subjects.StringID(conversation)}
		if conversation != "" {
			request.NewerThan = time.Duration(newer).String()
		} else {
			request.ID = args[0]
		}
		account, err := ask[explain.Account](cmd.Context(), &b.querier, queryExplain, request)
		if err != nil {
			return err
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), account)
		}
		return tellAccount(cmd.OutOrStdout(), account)
	})
}

func oneID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return usageError{fmt.Errorf("%s needs one id, or --conversation; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

func tellAccount(out io.Writer, a explain.Account) error {
	if len(a.Is) > 0 {
		if err := say(out, "%s is the id of a %s.", plain(a.ID), strings.Join(a.Is, " and of a ")); err != nil {
			return err
		}
	}
	for _, c := range a.Commands {
		if err := say(out, "Command %s (%s): %s.", plain(c.ID), plain(string(c.Command)), plain(c.Text)); err != nil {
			return err
		}
	}
	for _, remark := range a.Remarks {
		if err := say(out, "Note: %s.", plain(remark)); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, e := range a.Entries {
		where := ""
		if e.Stream != "" {
			where = fmt.Sprintf(" [%s %d]", e.Stream, e.Sequence)
		}
		if _, err := fmt.Fprintf(table, "%s\t%s\t%s%s\n", e.Time, e.What, plain(e.Text), where); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
