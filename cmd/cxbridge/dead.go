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

	"github.com/cxbridge/cxbridge/bridge"
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

// request checks what the flags say, and makes a request of it.
func (f *letterFilter) request() (bridge.LettersRequest, error) {
	r := bridge.LettersRequest{Subject: f.subject, CommandID: f.command, OlderThan: f.olderThan.String(), NewerThan: f.newerThan.String()}
	for _, word := range f.reasons {
		if !slices.Contains(subjects.Reasons(), subjects.Reason(word)) {
			return r, usageError{fmt.Errorf("--reason: %q is none of %s", word, words(subjects.Reasons()))}
		}
		r.Reasons = append(r.Reasons, subjects.Reason(word))
	}
	for _, word := range f.statuses {
		if !slices.Contains(deadStatuses(), subjects.Status(word)) {
			return r, usageError{fmt.Errorf("--status: %q is none of %s", word, words(deadStatuses()))}
		}
		r.Statuses = append(r.Statuses, subjects.Status(word))
	}
	if strings.ContainsAny(f.subject, " \t\r\n") {
		return r, usageError{fmt.Errorf("--subject: %q is no subject", f.subject)}
	}
	return r, nil
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

// pageLetters is how many letters are asked for at once; fewer come if they do not fit into a message.
const pageLetters = 200

// list asks page by page for the letters that a request picks, for so many at most; 0 for no limit.
func (b *bus) list(ctx context.Context, r bridge.LettersRequest, limit int) (bridge.Letters, error) {
	all := bridge.Letters{Letters: []deadletter.Summary{}}
	for {
		r.Limit = pageLetters
		if limit > 0 {
			r.Limit = min(limit-len(all.Letters), pageLetters)
		}
		page, err := ask[bridge.Letters](ctx, &b.querier, queryList, r)
		if err != nil {
			return all, err
		}
		all.Letters = append(all.Letters, page.Letters...)
		if page.Next == 0 || limit > 0 && len(all.Letters) >= limit {
			all.Next = page.Next
			return all, nil
		}
		r.After = page.Next
	}
}

// find returns the letters that arguments name: by the sequence of a letter, or by the id of its command. All of them must be there.
func (b *bus) find(ctx context.Context, args []string) ([]deadletter.Summary, error) {
	var letters []deadletter.Summary
	seen := map[uint64]bool{}
	for _, arg := range args {
		found, err := b.named(ctx, arg)
		if err != nil {
			return nil, err
		}
		for _, letter := range found {
			if !seen[letter.Sequence] {
				seen[letter.Sequence] = true
				letters = append(letters, letter)
			}
		}
	}
	return letters, nil
}

// named returns the letter with a sequence, else those of a command.
func (b *bus) named(ctx context.Context, name string) ([]deadletter.Summary, error) {
	if seq, err := strconv.ParseUint(name, 10, 64); err == nil && seq > 0 {
		letter, err := ask[deadletter.Document](ctx, &b.querier, queryShow, bridge.ShowRequest{Sequence: seq})
		if err == nil {
			return []deadletter.Summary{letter.Summary}, nil
		}
		if !notFound(err) {
			return nil, err
		}
	}
	found, err := b.list(ctx, bridge.LettersRequest{CommandID: name}, 0)
	if err == nil && len(found.Letters) == 0 {
		err = fmt.Errorf("%s: %w; see cxbridge dead list", name, deadletter.ErrNotFound)
	}
	return found.Letters, err
}

// notFound reports whether an answer was that there is no such thing.
func notFound(err error) bool {
	var failure *failureError
	return errors.Is(err, deadletter.ErrNotFound) || errors.As(err, &failure) && failure.code == codeNotFound
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
	_, err := s.request()
	return err
}

// letters returns those that a command line picks. They are all known before the first of them is changed: commands that fail again make further
// letters, and would otherwise be replayed for ever.
func (s *selection) letters(ctx context.Context, b *bus, args []string) ([]deadletter.Summary, error) {
	if len(args) > 0 {
		return b.find(ctx, args)
	}
	request, err := s.request()
	if err != nil {
		return nil, err
	}
	found, err := b.list(ctx, request, 0)
	return found.Letters, err
}

// letterName is a letter in a line for people.
func letterName(sequence uint64, commandID string) string {
	name := fmt.Sprintf("dead letter %d", sequence)
	if commandID != "" {
		name += " (command " + plain(commandID) + ")"
	}
	return name
}
