//go:build alerts

package alerts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	deployed   = "../../deploy/prometheus/"
	rulesFile  = deployed + "alerts.yml"
	unitTests  = deployed + "alerts_test.yml"
	dashboard  = "../../deploy/grafana/cxbridge.json"
	prometheus = "../../bin/prometheus" // by setup.sh
	promtool   = "../../bin/promtool"
)

func TestTheRulesPassTheirUnitTests(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", rulesFile}, {"test", "rules", unitTests}} {
		if out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
}

func TestEachRuleHasAUnitTestAndSaysWhatToDo(t *testing.T) {
	tests := read(t, unitTests)
	for _, rule := range rules(t) {
		if !strings.Contains(tests, `alertname="`+rule.name+`"`) {
			t.Errorf("%s has no unit test", rule.name)
		}
		for _, member := range []string{"summary:", "description:", "action:", "severity:"} {
			if !strings.Contains(rule.text, member) {
				t.Errorf("%s has no %s", rule.name, member)
			}
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

type rule struct{ name, text string }

func rules(t *testing.T) (all []rule) {
	t.Helper()
	for _, text := range strings.Split(read(t, rulesFile), "- alert: ")[1:] {
		name, _, _ := strings.Cut(text, "\n")
		all = append(all, rule{name, text})
	}
	return all
}

// minutes are the durations of the rules: how long a condition must last, windows, and limits in time.
var minutes = []struct {
	found *regexp.Regexp
	quick string
}{
	{regexp.MustCompile(`(?m)^\s+for: (\d+)m$`), "        for: %ds"},
	{regexp.MustCompile(`\[(\d+)m\]`), "[%ds]"},
	{regexp.MustCompile(`\b(\d+) \* 60\b`), "%d"},
}

// quickened writes the rules with each minute turned into that many seconds, so that a test need not wait for an hour, and with nothing else changed.
func quickened(t *testing.T, pace int) (file string) {
	t.Helper()
	text := read(t, rulesFile)
	for _, m := range minutes {
		if !m.found.MatchString(text) {
			t.Fatalf("no rule has %s", m.found)
		}
		text = m.found.ReplaceAllStringFunc(text, func(found string) string {
			n, err := strconv.Atoi(m.found.FindStringSubmatch(found)[1])
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprintf(m.quick, n*pace)
		})
	}
	file = filepath.Join(t.TempDir(), "alerts.yml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// expected is where the condition of each alert is caused.
var expected = map[string]string{
	"CxbridgeDown":                 "down",
	"CxbridgeNotReady":             "bus",
	"CxbridgeBusAway":              "bus",
	"CxbridgeWebhooksRefused":      "bus",
	"CxbridgeSpoolFilling":         "bus",
	"CxbridgeSpoolNearlyFull":      "bus",
	"CxbridgeNoActive":             "bus",
	"CxbridgeWebhooksUnauthorized": "failing",
	"CxbridgeUnknownOutcomes":      "failing",
	"CxbridgeCommandsExhausted":    "failing",
	"CxbridgeDeadLettersGrowing":   "failing",
	"CxbridgeLoop":                 "failing",
	"CxbridgeUnauthorized":         "failing",
	"CxbridgeCircuitOpen":          "api",
	"CxbridgeCommandsBlocked":      "api",
	"CxbridgeLagGrowing":           "api",
	"CxbridgeRateLimited":          "limits",
	"CxbridgeTokenRefreshFailing":  "token",
	"CxbridgeTokenExpiring":        "token",
	"CxbridgeCertificateExpiring":  "token",
	"CxbridgeTwoActive":            "two",
	"CxbridgePaused":               "two",
	"CxbridgeStorageNearlyFull":    "disk",
}

func TestEachRuleIsCausedSomewhere(t *testing.T) {
	var names []string
	for _, rule := range rules(t) {
		names = append(names, rule.name)
		if expected[rule.name] == "" {
			t.Errorf("no test causes %s", rule.name)
		}
	}
	for name := range expected {
		if !slices.Contains(names, name) {
			t.Errorf("there is no rule %s", name)
		}
	}
}
