package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/cxbridge/cxbridge/bridge"
)

// simulatorPage is the page of the simulator for authors of bots.
func simulatorPage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheFlagsOfTheSimulatorsPageExistAndAreAllThere(t *testing.T) {
	text := simulatorPage(t)
	lines := regexp.MustCompile(`(?m)^    \./cxbridge sim(.*)$`).FindAllStringSubmatch(text, -1)
	if len(lines) < 5 {
		t.Fatalf("%d command lines", len(lines))
	}
	story := regexp.MustCompile("(?s)<!-- story.json -->\n```json\n(.*?)```").FindStringSubmatch(text)
	file := filepath.Join(t.TempDir(), "story.json")
	if err := os.WriteFile(file, []byte(story[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		var o simOptions
		flags := pflag.NewFlagSet("sim", pflag.ContinueOnError)
		o.flags(flags)
		err := flags.Parse(strings.Fields(strings.ReplaceAll(line[1], "story.json", file)))
		if err == nil {
			_, _, err = o.prepare()
		}
		if err != nil {
			t.Errorf("%s: %v", line[0], err)
		}
	}
	var o simOptions
	all := pflag.NewFlagSet("sim", pflag.ContinueOnError)
	o.flags(all)
	all.VisitAll(func(f *pflag.Flag) {
		if !regexp.MustCompile(`--` + f.Name + `\b`).MatchString(text) {
			t.Errorf("docs/simulator.md does not tell of --%s", f.Name)
		}
	})
}

func TestTheConfigurationOfTheSimulatorsPageHasNoMistake(t *testing.T) {
	text := regexp.MustCompile("(?s)```toml\n(.*?)```").FindStringSubmatch(simulatorPage(t))
	file := filepath.Join(t.TempDir(), "bridge.toml")
	if err := os.WriteFile(file, []byte(text[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := bridge.LoadConfig(bridge.Sources{File: file})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(simulatorPage(t), cfg.Webhook.PublicURL+"/webhooks/"+cfg.Webhook.PathTokens[0]) {
		t.Error("the address of the webhook is not that of the configuration")
	}
}
