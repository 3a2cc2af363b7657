package main

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
)

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "version", Short: "Tell the version", Args: noArgs}
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *asJSON {
			return printJSON(cmd.OutOrStdout(), struct {
				Version  string `json:"version"`
				Go       string `json:"go"`
				Platform string `json:"platform"`
			}{bridge.Version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
		}
		return say(cmd.OutOrStdout(), "cxbridge %s (%s, %s/%s)", bridge.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	}
	return cmd
}
