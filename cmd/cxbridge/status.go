package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cxbridge/cxbridge/bridge"
)

func statusCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Tell how a running bridge is", Args: noArgs,
		Long: "Tell how a running bridge is: whether all of it is proven to work and what is wrong, who carries out commands, what is held up. Of several\n" +
			"bridges on the same bus one answers, and tells which of them carries out commands. The exit status is 1 if none answers, or if\n" +
			"the one that does is not ready.",
	}
	return bridgeCommand(cmd, func(cmd *cobra.Command, b *bus, _ []string, asJSON bool) error {
		status, err := ask[bridge.Status](cmd.Context(), &b.querier, queryStatus, struct{}{})
		if errors.Is(err, errNobody) {
			return fmt.Errorf("%w; is it running? cxbridge check --online tries what it needs", err)
		}
		if err != nil {
			return err
		}
		if asJSON {
			err = printJSON(cmd.OutOrStdout(), status)
		} else {
			err = tellStatus(cmd.OutOrStdout(), status, time.Now())
		}
		if err == nil && !status.Ready {
			err = toldError{errors.New("the bridge is not ready")}
		}
		return err
	})
}

// tellStatus tells it in lines of a name and what there is to know.
func tellStatus(out io.Writer, s bridge.Status, now time.Time) error {
	lines := [][2]string{{"bridge", fmt.Sprintf("%s, version %s, for tenant %s", s.Bridge, s.Version, s.Tenant)}}
	if s.Ready {
		lines = append(lines, [2]string{"ready", "yes, all of it is proven to work"})
	} else {
		lines = append(lines, [2]string{"ready", "no"})
	}
	for _, fault := range s.Problems {
		lines = append(lines, [2]string{"problem", fault.Check + ": " + fault.Problem})
	}
	for _, remark := range s.Remarks {
		lines = append(lines, [2]string{"note", remark})
	}
	lines = append(lines, [2]string{"active", activeText(s)})
	if s.Active {
		lines = append(lines, [2]string{"commands", fmt.Sprintf("%d held in %s, %d of them running", s.Held, counted(s.Lanes, "lane"), s.Running)})
	}
	if s.Circuit != "" {
		lines = append(lines, [2]string{"API", apiText(s, now)})
	}
	if s.Spool {
		lines = append(lines, [2]string{"spool", fmt.Sprintf("%d events, %d bytes", s.Spooled, s.SpoolBytes)})
	}
	for _, line := range lines {
		if err := say(out, "%-9s %s", line[0], plain(line[1])); err != nil {
			return err
		}
	}
	return nil
}

func activeText(s bridge.Status) string {
	switch {
	case s.Active:
		return fmt.Sprintf("this bridge carries out commands, epoch %d", s.Epoch)
	case s.Holder == "":
		return "it is not known which bridge carries out commands"
	}
	return s.Holder + " carries out commands, and this one would take over"
}

func apiText(s bridge.Status, now time.Time) string {
	parts := []string{"circuit breaker " + s.Circuit, "no limit of calls"}
	if s.Rate != nil {
		parts[1] = fmt.Sprintf("%.3g calls a second allowed", *s.Rate)
	}
	if s.HoldUntil.After(now) {
		parts = append(parts, "no call before "+s.HoldUntil.String()+", as it asked")
	}
	return strings.Join(parts, ", ")
}
