package bridge_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
)

const tableHead = "# Metrics\n\n" +
	"What a bridge tells at `/metrics` of the admin listener. This file is made from the code: `go test ./bridge -run TestMetricsTable -update`.\n\n" +
	"Each counter is there with all values of its labels from the beginning, so that a rate is right from the first event on; the metrics of commands are\n" +
	"there when the bus was reached for the first time. Sizes of streams, the backlog and readiness are read when somebody scrapes, every 3 s at most; a scrape\n" +
	"never waits longer than half a second for them. Beside these there are the metrics of the Go runtime (`go_…`) and of the process (`process_…`).\n\n" +
	"[deploy/prometheus](../deploy/prometheus/README.md) has alerts, [deploy/grafana](../deploy/grafana/README.md) a dashboard.\n"

// tableOf describes what bridges export, with the embedded server and with another one.
func tableOf(embedded, external families) string {
	all := maps.Clone(embedded)
	maps.Copy(all, external)
	var b strings.Builder
	b.WriteString(tableHead)
	b.WriteString("\n| metric | type | labels | unit | meaning | what to do |\n|---|---|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "cxbridge_") {
			continue
		}
		family, help := all[name], telemetry.SplitHelp(all[name].GetHelp())
		if mode := onlyIn(name, embedded, external); mode != "" {
			help.Means += " Only with `nats.mode = \"" + mode + "\"`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", name, strings.ToLower(family.GetType().String()), labelsOf(family), unitOf(name), help.Means, help.Do)
	}
	return b.String()
}

func onlyIn(name string, embedded, external families) string {
	switch {
	case strings.HasPrefix(name, "cxbridge_embedded_"):
		return "embedded"
	case embedded[name] == nil && external[name] != nil:
		return "external"
	}
	return ""
}

func unitOf(name string) string {
	name = strings.TrimSuffix(name, "_total")
	switch {
	case strings.HasSuffix(name, "_timestamp_seconds"):
		return "Unix time"
	case strings.HasSuffix(name, "_seconds"):
		return "seconds"
	case strings.HasSuffix(name, "_bytes"):
		return "bytes"
	}
	return ""
}

// labelsOf lists each label with its values.
func labelsOf(family *dto.MetricFamily) string {
	values := map[string]map[string]bool{}
	for _, m := range family.GetMetric() {
		for _, l := range m.GetLabel() {
			if values[l.GetName()] == nil {
				values[l.GetName()] = map[string]bool{}
			}
			values[l.GetName()][l.GetValue()] = true
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		of := slices.Sorted(maps.Keys(values[name]))
		for i, v := range of {
			if of[i] = "`" + v + "`"; v == "" {
				of[i] = "(empty)"
			}
		}
		if name == "version" {
			of = []string{"of the program"}
		}
		lines = append(lines, "`"+name+"`: "+strings.Join(of, ", "))
	}
	return strings.Join(lines, "<br>")
}
