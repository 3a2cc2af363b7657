package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/subjects"
)

func deadCommand() *cobra.Command {
	return group("dead", "Dead letters: what could not be done or understood", deadListCommand(), deadShowCommand(), deadReplayCommand(), deadDropCommand())
}

// letterFilter are the flags that pick letters.
type letterFilter struct {
	reasons, statuses    []string
	subject, command     string
	olderThan, newerThan age
}

func (f *letterFilter) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.reasons, "reason", nil, "only with one of these reasons: "+words(subjects.Reasons()))
	flags.StringSliceVar(&f.statuses, "status", nil, "only with one of these statuses: "+words(deadStatuses()))
	flags.StringVar(&f.subject, "subject", "", "only on this subject, such as cx.dead.cmd.message.send; wildcards are possible")
	flags.StringVar(&f.command, "command", "", "only of the command with this id")
	flags.Var(&f.olderThan, "older-than", "only those stored longer ago than this, such as 90m or 7d")
	flags.Var(&f.newerThan, "newer-than", "only those stored less long ago than this")
}

// filter checks what the flags say.
func (f *letterFilter) filter() (deadletter.Filter, error) {
	filter := deadletter.Filter{
		Subject: f.subject, CommandID: f.command, OlderThan: time.Duration(f.olderThan), NewerThan: time.Duration(f.newerThan),
	}
	for _, word := range f.reasons {
		if !slices.Contains(subjects.Reasons(), subjects.Reason(word)) {
			return filter, usageError{fmt.Errorf("--reason: %q is none of %s", word, words(subjects.Reasons()))}
		}
		filter.Reasons = append(filter.Reasons, subjects.Reason(word))
	}
	for _, word := range f.statuses {
		if !slices.Contains(deadStatuses(), subjects.Status(word)) {
			return filter, usageError{fmt.Errorf("--status: %q is none of %s", word, words(deadStatuses()))}
		}
		filter.Statuses = append(filter.Statuses, subjects.Status(word))
	}
	if strings.ContainsAny(f.subject, " \t\r\n") {
		return filter, usageError{fmt.Errorf("--subject: %q is no subject", f.subject)}
	}
	return filter, nil
}

func (f *letterFilter) empty() bool {
	return len(f.reasons) == 0 && len(f.statuses) == 0 && f.subject == "" && f.command == "" && f.olderThan == 0 && f.newerThan == 0
}

// deadStatuses are the statuses that letters can have.
func deadStatuses() []subjects.Status {
	return slices.DeleteFunc(subjects.Statuses(), func(s subjects.Status) bool { return !s.DeadLetter() })
}

func words[T ~string](all []T) string {
	texts := make([]string, 0, len(all))
	for _, word := range all {
		texts = append(texts, string(word))
	}
	return strings.Join(texts, ", ")
}

// age is a duration that may be in days.
type age time.Duration

func (a *age) String() string {
	if *a == 0 {
		return ""
	}
	return time.Duration(*a).String()
}

func (a *age) Type() string { return "duration" }

// Set takes a duration of Go, or a number of days.
func (a *age) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, found := strings.CutSuffix(text, "d"); found {
		var n float64
		n, err = strconv.ParseFloat(days, 64)
		d = time.Duration(n * 24 * float64(time.Hour))
	}
	if err != nil || d <= 0 {
		return errors.New("must be a duration such as 90m or 7d")
	}
	*a = age(d)
	return nil
}

// find returns the letters that arguments name: by the sequence of a letter, or by the id of its command. All of them must be there.
func find(ctx context.Context, store *deadletter.Store, args []string) ([]deadletter.Stored, error) {
	var letters []deadletter.Stored
	seen := map[uint64]bool{}
	for _, arg := range args {
		found, err := named(ctx, store, arg)
		if err != nil {
			return nil, err
		}
		for _, letter := range found {
			if !seen[letter.Seq] {
				seen[letter.Seq] = true
				letters = append(letters, letter)
			}
		}
	}
	return letters, nil
}

// named returns the letter with a sequence, else those of a command.
func named(ctx context.Context, store *deadletter.Store, name string) ([]deadletter.Stored, error) {
	if seq, err := strconv.ParseUint(name, 10, 64); err == nil && seq > 0 {
		letter, err := store.Get(ctx, seq)
		if err == nil {
			return []deadletter.Stored{letter}, nil
		}
		if !errors.Is(err, deadletter.ErrNotFound) {
			return nil, err
		}
	}
	page, err := store.List(ctx, deadletter.Filter{CommandID: name})
	if err == nil && len(page.Letters) == 0 {
		err = fmt.Errorf("%s: %w; see cxbridge dead list", name, deadletter.ErrNotFound)
	}
	return page.Letters, err
}

// selection are the arguments and flags of commands that change something: they must say what to change.
type selection struct {
	letterFilter
	all, dryRun bool
}

func (s *selection) flags(flags *pflag.FlagSet) {
	s.letterFilter.flags(flags)
	flags.BoolVar(&s.all, "all", false, "all of them")
	flags.BoolVar(&s.dryRun, "dry-run", false, "only tell what would be done")
}

// check refuses a command line that does not say clearly what to change.
func (s *selection) check(cmd *cobra.Command, args []string) error {
	ways := 0
	for _, given := range []bool{len(args) > 0, !s.empty(), s.all} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return usageError{fmt.Errorf("%s needs either sequences or command ids, or filters, or --all; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	_, err := s.filter()
	return err
}

// letterName is a letter in a line for people.
func letterName(l deadletter.Stored) string {
	name := fmt.Sprintf("dead letter %d", l.Seq)
	if l.CommandID != "" {
		name += " (command " + plain(l.CommandID) + ")"
	}
	return name
}
