package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/bridge/deadletter"
	"github.com/cxbridge/cxbridge/subjects"
)

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
		_, err := pick.request()
		return errors.Join(noArgs(cmd, args), err)
	}
	return busCommand(cmd, func(cmd *cobra.Command, b *bus, _ []string, asJSON bool) error {
		request, err := pick.request()
		if err != nil {
			return err
		}
		request.After = *after
		list, err := b.list(cmd.Context(), request, *limit)
		switch {
		case err != nil:
			return err
		case asJSON:
			return printJSON(cmd.OutOrStdout(), list)
		}
		return tellList(cmd.OutOrStdout(), list, pick.empty() && *after == 0)
	})
}

func tellList(out io.Writer, list bridge.Letters, everything bool) error {
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
		letters, err := b.find(cmd.Context(), args)
		if err != nil {
			return err
		}
		documents := make([]deadletter.Document, 0, len(letters))
		for _, letter := range letters {
			request := bridge.ShowRequest{Sequence: letter.Sequence, Body: !*without}
			document, err := ask[deadletter.Document](cmd.Context(), &b.querier, queryShow, request)
			if err != nil {
				return err
			}
			documents = append(documents, document)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Letters []deadletter.Document `json:"letters"`
			}{documents})
		}
		for _, document := range documents {
			if err := tellLetter(cmd.OutOrStdout(), document); err != nil {
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

func tellLetter(out io.Writer, d deadletter.Document) error {
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
		fmt.Fprintf(&b, "  body        %d bytes, left out\n", d.Size)
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
