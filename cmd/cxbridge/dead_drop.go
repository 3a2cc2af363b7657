package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
)

func deadDropCommand() *cobra.Command {
	var pick selection
	cmd := &cobra.Command{
		Use: "drop [SEQUENCE|COMMAND-ID...]", Short: "Delete dead letters",
		Long: "Delete dead letters for good.",
	}
	pick.flags(cmd.Flags())
	cmd.Args = pick.check
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error {
		gone := []deadletter.Summary{}
		err := drop(cmd.Context(), deadletter.NewStore(b.JetStream(), b.names), &pick, args, func(letter deadletter.Stored) error {
			gone = append(gone, letter.Summary())
			switch {
			case asJSON:
				return nil
			case pick.dryRun:
				return say(cmd.OutOrStdout(), "Would drop %s.", letterName(letter))
			}
			return say(cmd.OutOrStdout(), "Dropped %s.", letterName(letter))
		})
		if asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), struct {
				DryRun  bool                 `json:"dry_run"`
				Letters []deadletter.Summary `json:"letters"`
			}{pick.dryRun, gone}))
		}
		if err == nil && len(gone) == 0 {
			return say(cmd.OutOrStdout(), "No dead letter matches.")
		}
		return err
	})
}

func drop(ctx context.Context, store *deadletter.Store, pick *selection, args []string, report func(deadletter.Stored) error) error {
	if len(args) == 0 {
		filter, err := pick.filter()
		if err != nil {
			return err
		}
		return store.DropAll(ctx, filter, pick.dryRun, report)
	}
	letters, err := find(ctx, store, args)
	if err != nil {
		return err
	}
	for _, letter := range letters {
		if !pick.dryRun {
			if err := store.Drop(ctx, letter.Seq); err != nil {
				return err
			}
		}
		if err := report(letter); err != nil {
			return err
		}
	}
	return nil
}
