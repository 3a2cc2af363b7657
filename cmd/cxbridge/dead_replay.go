package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
)

// replay is one run of dead replay.
type replay struct {
	selection
	keep      bool
	perSecond float64

	bus  *bus
	tell func(bridge.ReplayedRow) error // of each letter, at once
	done bridge.Replayed
	not  int // replayed
}

func deadReplayCommand() *cobra.Command {
	var r replay
	cmd := &cobra.Command{
		Use: "replay [SEQUENCE|COMMAND-ID...]", Short: "Publish dead commands anew",
		Long: "Publish commands from dead letters anew, each with an id of its own, so that it is carried out although the original is known, and\n" +
			"with the id of the original in the header Cx-Replay-Of. A time that has passed in Cx-Expires-At is left out.\n" +
			"A letter is deleted when its new command is stored; with --keep it stays, and can be replayed, and so carried out, once more.",
	}
	r.flags(cmd.Flags())
	cmd.Flags().BoolVar(&r.keep, "keep", false, "keep the letters")
	cmd.Flags().Float64Var(&r.perSecond, "rate", 0, "so many a second at most; 0 for no limit")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if r.perSecond < 0 {
			return usageError{fmt.Errorf("--rate must not be negative, not %g", r.perSecond)}
		}
		return r.check(cmd, args)
	}
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error {
		r.bus, r.done = b, bridge.Replayed{DryRun: r.dryRun, Letters: []bridge.ReplayedRow{}}
		r.tell = func(row bridge.ReplayedRow) error { return r.line(cmd, row) }
		if asJSON {
			r.tell = func(bridge.ReplayedRow) error { return nil }
		}
		err := r.run(cmd.Context(), args)
		if slices.ContainsFunc(r.done.Letters, func(row bridge.ReplayedRow) bool { return row.ReplayID != "" }) {
			err = errors.Join(err, b.tellAlone(cmd, queryReplay))
		}
		if asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), r.done))
		}
		if err != nil {
			return err
		}
		return r.sum(cmd)
	})
}

func (r *replay) run(ctx context.Context, args []string) error {
	letters, err := r.letters(ctx, r.bus, args)
	if err != nil {
		return err
	}
	pace := rate.NewLimiter(rate.Inf, 1)
	if r.perSecond > 0 && !r.dryRun {
		pace.SetLimit(rate.Limit(r.perSecond))
	}
	for part := range slices.Chunk(letters, r.atOnce()) {
		if err := pace.Wait(ctx); err != nil {
			return err
		}
		if err := r.some(ctx, part); err != nil {
			return err
		}
	}
	if r.not > 0 && len(args) > 0 {
		return fmt.Errorf("%s not replayed", counted(r.not, "letter"))
	}
	return nil
}

// atOnce is how many letters are asked for at once: one, so that of no more it is not known whether they were replayed if the answer does not come.
func (r *replay) atOnce() int {
	if r.dryRun {
		return 50
	}
	return 1
}

func (r *replay) some(ctx context.Context, letters []deadletter.Summary) error {
	request := bridge.ReplayRequest{Keep: r.keep, DryRun: r.dryRun}
	for _, letter := range letters {
		request.Sequences = append(request.Sequences, letter.Sequence)
	}
	answer, err := ask[bridge.Replayed](ctx, &r.bus.querier, queryReplay, request)
	if err != nil {
		return r.unsure(letters[0], err)
	}
	for _, row := range answer.Letters {
		if err := r.note(row); err != nil {
			return err
		}
	}
	return nil
}

// unsure tells what to do about a letter of which it is not known whether it was replayed.
func (r *replay) unsure(letter deadletter.Summary, err error) error {
	var failure *failureError
	name := letterName(letter.Sequence, letter.CommandID)
	switch {
	case r.dryRun, errors.As(err, &failure):
		return fmt.Errorf("replay %s: %w", name, err)
	case r.keep:
		return fmt.Errorf("replay %s: %w; look whether it was, before you replay it again: cxbridge explain %s", name, err, plain(letter.CommandID))
	}
	return fmt.Errorf("replay %s: %w; to replay it again does no harm, because its command has the same id each time", name, err)
}

// note keeps and tells what became of a letter.
func (r *replay) note(row bridge.ReplayedRow) error {
	r.done.Letters = append(r.done.Letters, row)
	if row.Error == "" {
		return r.tell(row)
	}
	if row.Failed {
		if row.ReplayID != "" {
			return errors.Join(r.tell(bridge.ReplayedRow{Sequence: row.Sequence, CommandID: row.CommandID, ReplayID: row.ReplayID}),
				fmt.Errorf("it was replayed as command %s, but: %s", row.ReplayID, plain(row.Error)))
		}
		return errors.New(row.Error)
	}
	r.not++
	return r.tell(row)
}

func (r *replay) line(cmd *cobra.Command, row bridge.ReplayedRow) error {
	name := letterName(row.Sequence, row.CommandID)
	switch {
	case row.Error != "":
		return say(cmd.OutOrStdout(), "Not replayed: %s", plain(row.Error))
	case r.dryRun:
		return say(cmd.OutOrStdout(), "Would replay %s.", name)
	}
	return say(cmd.OutOrStdout(), "Replayed %s as command %s.", name, row.ReplayID)
}

func (r *replay) sum(cmd *cobra.Command) error {
	if len(r.done.Letters) == 0 {
		return say(cmd.OutOrStdout(), "No dead letter matches.")
	}
	verb := "replayed"
	if r.dryRun {
		verb = "would be replayed"
	}
	return say(cmd.OutOrStdout(), "%s %s.", counted(len(r.done.Letters)-r.not, "letter"), verb)
}
