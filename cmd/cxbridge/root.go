package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "cxbridge",
		Short: "A bridge between Sangoma CX and NATS JetStream",
		Long: "Every webhook event of Sangoma CX appears on NATS JetStream, and every command published on NATS is carried out at the\n" +
			"Sangoma CX API. Begin with: cxbridge demo",
		SilenceUsage: true, SilenceErrors: true,
		Args: func(_ *cobra.Command, args []string) error { return unknownVerb("cxbridge", args) },
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
	})
	root.AddCommand(runCommand(), demoCommand(), checkCommand(), simCommand(), webhookCommand(), botCommand(), inboxCommand(), versionCommand(),
		statusCommand(), deadCommand(), explainCommand(), pauseCommand(), resumeCommand(), asyncapiCommand())
	return root
}

// noArgs refuses arguments.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, but got %q; see %s --help", cmd.CommandPath(), strings.Join(args, " "), cmd.CommandPath())}
	}
	return nil
}

func unknownVerb(parent string, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usageError{fmt.Errorf("%q is no command of %s; see %s --help", args[0], parent, parent)}
}

// group makes a command that only has further commands.
func group(name, short string, verbs ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{
		Use: name, Short: short,
		Args: func(cmd *cobra.Command, args []string) error { return unknownVerb(cmd.CommandPath(), args) },
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s needs a further word; see %s --help", cmd.CommandPath(), cmd.CommandPath())}
		},
	}
	g.AddCommand(verbs...)
	return g
}

// printJSON writes one indented JSON document.
func printJSON(w io.Writer, body any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(body); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// say writes a line for people.
func say(w io.Writer, format string, args ...any) error {
	if _, err := fmt.Fprintf(w, format+"\n", args...); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}
