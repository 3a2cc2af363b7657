package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
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
		err := drop(cmd.Context(), b, &pick, args, func(letter deadletter.Summary) error {
			gone = append(gone, letter)
			switch {
			case asJSON:
				return nil
			case pick.dryRun:
				return say(cmd.OutOrStdout(), "Would drop %s.", letterName(letter.Sequence, letter.CommandID))
			}
			return say(cmd.OutOrStdout(), "Dropped %s.", letterName(letter.Sequence, letter.CommandID))
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

func drop(ctx context.Context, b *bus, pick *selection, args []string, report func(deadletter.Summary) error) error {
	letters, err := pick.letters(ctx, b, args)
	if err != nil {
		return err
	}
	for _, letter := range letters {
		if !pick.dryRun {
			if err := b.drop(ctx, letter.Sequence); err != nil {
				return err
			}
		}
		if err := report(letter); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes a letter. It is no error if somebody else has done so meanwhile.
func (b *bus) drop(ctx context.Context, sequence uint64) error {
	answer, err := ask[bridge.Dropped](ctx, &b.querier, queryDrop, bridge.DropRequest{Sequences: []uint64{sequence}})
	if err != nil {
		return fmt.Errorf("drop dead letter %d: %w", sequence, err)
	}
	for _, row := range answer.Letters {
		if row.Error != "" && !row.Gone {
			return errors.New(row.Error)
		}
	}
	return nil
}
