package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
)

func checkCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration", Args: noArgs,
		Long: "Check the configuration and tell everything that is wrong with it. With --online, also try the bus and the API, without changing\n" +
			"anything at either.",
	}
	load := configFlags(cmd, false)
	online := cmd.Flags().Bool("online", false, "also try the bus, the token and the API")
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		report := checkReport{Trials: []bridge.Trial{}, Problems: []bridge.Problem{}}
		cfg, err := load()
		var wrong *bridge.ConfigError
		if errors.As(err, &wrong) {
			report.Problems = wrong.Problems
		} else if *online {
			report.Trials, err = bridge.Try(cmd.Context(), cfg)
		}
		report.Valid = wrong == nil
		return report.tell(cmd, *asJSON, err)
	}
	return cmd
}

// checkReport is what check found out.
type checkReport struct {
	Valid    bool             `json:"valid"`
	Problems []bridge.Problem `json:"problems"`
	Trials   []bridge.Trial   `json:"online,omitempty"`
}

func (r checkReport) tell(cmd *cobra.Command, asJSON bool, err error) error {
	if asJSON {
		if printed := printJSON(cmd.OutOrStdout(), r); printed != nil {
			return printed
		}
		if err != nil {
			return toldError{err}
		}
		return nil
	}
	if !r.Valid {
		return err
	}
	if told := say(cmd.OutOrStdout(), "The configuration is valid."); told != nil {
		return told
	}
	for _, t := range r.Trials {
		result := "works: " + t.Detail
		if !t.OK {
			result = "fails: " + t.Detail
		}
		if told := say(cmd.OutOrStdout(), "%-5s %s", t.Name, result); told != nil {
			return told
		}
	}
	if err != nil {
		return fmt.Errorf("check --online: %w", err)
	}
	return nil
}
