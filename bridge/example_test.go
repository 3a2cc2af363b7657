package bridge

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const examplePath = "../config.example.toml"

// TestExampleNamesEveryKeyWithItsDefault keeps config.example.toml true: it must name each key, with the default and a word on it, and
// nothing else.
func TestExampleNamesEveryKeyWithItsDefault(t *testing.T) {
	l := read(Sources{File: examplePath})
	cfg := DefaultConfig()
	l.decode(&cfg)
	for _, p := range l.problems {
		t.Errorf("%s", p)
	}
	for _, key := range l.schema.keys {
		if l.origin[key] == "" {
			t.Errorf("%s is not named", key)
		}
	}
	if diff := cmp.Diff(DefaultConfig(), cfg, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("it differs from the defaults (- default, + example):\n%s", diff)
	}
	text, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^[a-z_]+ = .*$`).FindAllString(string(text), -1) {
		if !regexp.MustCompile(`  # .{6,}$`).MatchString(line) {
			t.Errorf("no word on: %s", line)
		}
	}
}

// TestDefaultsNeedOnlyThreeThings says what somebody has to configure at least.
func TestDefaultsNeedOnlyThreeThings(t *testing.T) {
	var keys []string
	DefaultConfig().check(func(key, _ string, _ any) { keys = append(keys, key) })
	if diff := cmp.Diff([]string{"cx.tenant_domain", "cx.access_token", "webhook.path_tokens"}, keys); diff != "" {
		t.Error(diff)
	}
}
