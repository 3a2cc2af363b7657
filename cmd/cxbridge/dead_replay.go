package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/time/rate"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
)

// replay is one run of dead replay.
type replay struct {
	selection
	keep      bool
	perSecond float64

	store  *deadletter.Store
	tell   func(replayRow) error // of each letter, at once
	rows   []replayRow
	failed int
}

// replayRow tells in JSON what became of a letter.
type replayRow struct {
	Sequence  uint64 `json:"sequence"`
	CommandID string `json:"command_id,omitempty"` // of the letter
	ReplayID  string `json:"replay_id,omitempty"`  // of the new command
	Error     string `json:"error,omitempty"`      // why the letter cannot be replayed
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
		r.store, r.rows = deadletter.NewStore(b.JetStream(), b.names), []replayRow{}
		r.tell = func(row replayRow) error { return r.line(cmd, row) }
		if asJSON {
			r.tell = func(replayRow) error { return nil }
		}
		err := r.run(cmd.Context(), args)
		if asJSON {
			return errors.Join(err, printJSON(cmd.OutOrStdout(), struct {
				DryRun  bool        `json:"dry_run"`
				Letters []replayRow `json:"letters"`
			}{r.dryRun, r.rows}))
		}
		if err != nil {
			return err
		}
		return r.sum(cmd)
	})
}

func (r *replay) run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		filter, err := r.filter()
		if err != nil {
			return err
		}
		return r.store.ReplayAll(ctx, filter, deadletter.Bulk{PerSecond: r.perSecond, DryRun: r.dryRun, Drop: !r.keep}, r.note)
	}
	letters, err := find(ctx, r.store, args)
	if err != nil {
		return err
	}
	pace := rate.NewLimiter(rate.Inf, 1)
	if r.perSecond > 0 {
		pace.SetLimit(rate.Limit(r.perSecond))
	}
	for _, letter := range letters {
		if err := r.one(ctx, letter, pace); err != nil {
			return err
		}
	}
	if r.failed > 0 {
		return fmt.Errorf("%s not replayed", counted(r.failed, "letter"))
	}
	return nil
}

// one replays a letter that was asked for.
func (r *replay) one(ctx context.Context, letter deadletter.Stored, pace *rate.Limiter) error {
	if r.dryRun {
		return r.note(deadletter.Replayed{Letter: letter, Err: r.store.Replayable(letter)})
	}
	if err := pace.Wait(ctx); err != nil {
		return err
	}
	id, err := r.store.Replay(ctx, letter, r.keep)
	if errors.Is(err, deadletter.ErrNotReplayable) {
		return r.note(deadletter.Replayed{Letter: letter, Err: err})
	}
	if err != nil {
		return err
	}
	err = r.note(deadletter.Replayed{Letter: letter, CommandID: id})
	if dropped := r.drop(ctx, letter); dropped != nil {
		err = errors.Join(err, fmt.Errorf("it was replayed as command %s, but: %w", id, dropped))
	}
	return err
}

func (r *replay) drop(ctx context.Context, letter deadletter.Stored) error {
	if r.keep {
		return nil
	}
	if err := r.store.Drop(ctx, letter.Seq); err != nil && !errors.Is(err, deadletter.ErrNotFound) {
		return err
	}
	return nil
}

// note keeps and tells what became of a letter.
func (r *replay) note(done deadletter.Replayed) error {
	row := replayRow{Sequence: done.Letter.Seq, CommandID: done.Letter.CommandID, ReplayID: done.CommandID}
	if done.Err != nil {
		r.failed++
		row.Error = done.Err.Error()
	}
	r.rows = append(r.rows, row)
	return r.tell(row)
}

func (r *replay) line(cmd *cobra.Command, row replayRow) error {
	name := letterName(deadletter.Stored{Seq: row.Sequence, Letter: deadletter.Letter{CommandID: row.CommandID}})
	switch {
	case row.Error != "":
		return say(cmd.OutOrStdout(), "Not replayed: %s", plain(row.Error))
	case r.dryRun:
		return say(cmd.OutOrStdout(), "Would replay %s.", name)
	}
	return say(cmd.OutOrStdout(), "Replayed %s as command %s.", name, row.ReplayID)
}

func (r *replay) sum(cmd *cobra.Command) error {
	if len(r.rows) == 0 {
		return say(cmd.OutOrStdout(), "No dead letter matches.")
	}
	verb := "replayed"
	if r.dryRun {
		verb = "would be replayed"
	}
	return say(cmd.OutOrStdout(), "%s %s.", counted(len(r.rows)-r.failed, "letter"), verb)
}
