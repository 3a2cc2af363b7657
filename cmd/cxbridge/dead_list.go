package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/subjects"
)

// letterList is a list of letters in JSON.
type letterList struct {
	Letters []deadletter.Summary `json:"letters"`
	Next    uint64               `json:"next,omitempty"` // to be given to --after for what the limit left out
}

func deadListCommand() *cobra.Command {
	var pick letterFilter
	cmd := &cobra.Command{
		Use: "list", Short: "List dead letters",
		Long: "List dead letters, the oldest first, without their bodies, which may hold personal data.",
	}
	pick.flags(cmd.Flags())
	limit := cmd.Flags().Int("limit", 0, "so many at most; 0 for no limit")
	after := cmd.Flags().Uint64("after", 0, "only those with a greater sequence")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if *limit < 0 {
			return usageError{fmt.Errorf("--limit must not be negative, not %d", *limit)}
		}
		_, err := pick.filter()
		return errors.Join(noArgs(cmd, args), err)
	}
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, _ []string, asJSON bool) error {
		filter, err := pick.filter()
		if err != nil {
			return err
		}
		filter.After = *after
		list, err := listLetters(cmd.Context(), deadletter.NewStore(b.JetStream(), b.names), filter, *limit)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(cmd.OutOrStdout(), list)
		}
		return tellList(cmd.OutOrStdout(), list, pick.empty() && *after == 0)
	})
}

// listLetters asks page by page.
func listLetters(ctx context.Context, store *deadletter.Store, filter deadletter.Filter, limit int) (letterList, error) {
	list := letterList{Letters: []deadletter.Summary{}}
	for {
		filter.Limit = pageOf(limit, len(list.Letters))
		page, err := store.List(ctx, filter)
		if err != nil {
			return list, err
		}
		for _, letter := range page.Letters {
			list.Letters = append(list.Letters, letter.Summary())
		}
		if page.Next == 0 || limit > 0 && len(list.Letters) >= limit {
			list.Next = page.Next
			return list, nil
		}
		filter.After = page.Next
	}
}

// pageOf is how many letters to ask for at once, so that not all of their bodies are in memory.
func pageOf(limit, have int) int {
	const most = 200
	if limit == 0 {
		return most
	}
	return min(limit-have, most)
}

func tellList(out io.Writer, list letterList, everything bool) error {
	switch {
	case len(list.Letters) == 0 && everything:
		return say(out, "There are no dead letters.")
	case len(list.Letters) == 0:
		return say(out, "No dead letter matches.")
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	rows := []string{"SEQUENCE\tSTORED\tWHAT\tSTATUS\tREASON\tCOMMAND ID\tDETAIL"}
	for _, l := range list.Letters {
		rows = append(rows, fmt.Sprintf("%d\t%s\t%s\t%s\t%s\t%s\t%s", l.Sequence, l.StoredAt.UTC().Format(time.DateTime), what(l), plain(string(l.Status)),
			plain(string(l.Reason)), plain(l.CommandID), cut(plain(l.Detail), 80)))
	}
	for _, row := range rows {
		if _, err := fmt.Fprintln(table, row); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if list.Next > 0 {
		return say(out, "There are more: --after %d", list.Next)
	}
	return say(out, "%s.", counted(len(list.Letters), "dead letter"))
}

// what names the kind of a letter by its subject: message.send, webhook.malformed.
func what(l deadletter.Summary) string {
	tokens := strings.Split(plain(l.Subject), ".")
	return strings.Join(tokens[max(len(tokens)-2, 0):], ".")
}

func deadShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show SEQUENCE|COMMAND-ID...", Short: "Show dead letters whole", Args: someIDs,
		Long: "Show dead letters whole: why each is there, what was tried, and the original with its headers and its body, which may hold\n" +
			"personal data. Letters are named by their sequence, which the list tells, or by the id of their command.",
	}
	without := cmd.Flags().Bool("no-body", false, "leave the bodies out")
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, args []string, asJSON bool) error {
		letters, err := find(cmd.Context(), deadletter.NewStore(b.JetStream(), b.names), args)
		if err != nil {
			return err
		}
		documents := make([]deadletter.Document, 0, len(letters))
		for _, letter := range letters {
			documents = append(documents, letter.Document(!*without))
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Letters []deadletter.Document `json:"letters"`
			}{documents})
		}
		for i, letter := range letters {
			if err := tellLetter(cmd.OutOrStdout(), letter, documents[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func someIDs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 || slices.Contains(args, "") {
		return usageError{fmt.Errorf("%s needs sequences or command ids; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	return nil
}

func tellLetter(out io.Writer, letter deadletter.Stored, d deadletter.Document) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Dead letter %d\n", d.Sequence)
	for _, part := range []struct{ name, value string }{
		{"subject", d.Subject}, {"command id", d.CommandID}, {"status", string(d.Status)}, {"reason", string(d.Reason)}, {"detail", d.Detail},
		{"attempts", fmt.Sprint(d.Attempts)}, {"failed", d.FailedAt.String()}, {"stored", d.StoredAt.String()}, {"came from", d.OriginalSubject},
		{"damage", d.Damage},
	} {
		if part.value != "" {
			fmt.Fprintf(&b, "  %-11s %s\n", part.name, plain(part.value))
		}
	}
	tellHistory(&b, d.History)
	names := make([]string, 0, len(d.Headers))
	for name := range d.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range d.Headers[name] {
			fmt.Fprintf(&b, "  header      %s: %s\n", plain(name), plain(value))
		}
	}
	switch {
	case d.Body != nil:
		fmt.Fprintf(&b, "  body        %d bytes\n%s\n", len(*d.Body), lines(*d.Body))
	case d.Base64 != nil:
		fmt.Fprintf(&b, "  body        %d bytes that are no text\n%x\n", len(d.Base64), d.Base64)
	default:
		fmt.Fprintf(&b, "  body        %d bytes, left out\n", len(letter.Original.Data))
	}
	return say(out, "%s", strings.TrimSuffix(b.String(), "\n"))
}

func tellHistory(b *strings.Builder, history []subjects.Attempt) {
	for _, a := range history {
		answer := "no answer"
		if a.HTTPStatus > 0 {
			answer = fmt.Sprintf("answered %d", a.HTTPStatus)
		}
		fmt.Fprintf(b, "  call        %s %s %s %s\n", a.At, answer, plain(string(a.Reason)), plain(a.Detail))
	}
}

// lines makes a body safe for a terminal, line by line.
func lines(text string) string {
	all := strings.Split(text, "\n")
	for i := range all {
		all[i] = plain(strings.ReplaceAll(strings.TrimSuffix(all[i], "\r"), "\t", "    "))
	}
	return strings.Join(all, "\n")
}
