package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
)

func asyncapiCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "asyncapi", Short: "Print the contract on the bus as an AsyncAPI 3 document", Args: noArgs,
		Long: "Print the AsyncAPI 3 document, as JSON: every subject, message, header and stream. The configuration may be incomplete; only what it says\n" +
			"of subjects and streams counts. A bridge that runs has the document at /asyncapi.json of its admin listener.",
	}
	sources := sourceFlags(cmd)
	cmd.Flags().Bool("json", true, "print JSON; there is no other form")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		from := sources()
		from.ContractOnly = true
		cfg, err := bridge.LoadConfig(from)
		if err != nil {
			return err
		}
		document, err := cfg.Contract()
		if err != nil {
			return err
		}
		if _, err := cmd.OutOrStdout().Write(document); err != nil {
			return fmt.Errorf("write output: %w", err)
		}
		return nil
	}
	return cmd
}
