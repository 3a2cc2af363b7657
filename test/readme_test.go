package test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cxbridge/cxbridge/bridge"
	"github.com/cxbridge/cxbridge/subjects"
)

// root is the module's directory.
const root = ".."

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the first block of code in a language.
func block(t *testing.T, language string) string {
	t.Helper()
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(readme(t))
	if found == nil {
		t.Fatalf("README.md has no block of %s", language)
	}
	return found[1]
}

func TestTheTwoCommandsStandAtTheTopOfTheREADME(t *testing.T) {
	lines := strings.SplitAfter(readme(t), "\n")
	top := strings.Join(lines[:min(len(lines), 10)], "")
	for _, command := range []string{"go run ./cmd/cxbridge demo", "go test ./..."} {
		if !strings.Contains(top, "\n    "+command+" ") {
			t.Errorf("%s does not stand among the first 10 lines", command)
		}
	}
}

// TestTheDemoOfTheREADMEShowsTheRoundTrip runs the first command of README.md, with the flag that ends it.
func TestTheDemoOfTheREADMEShowsTheRoundTrip(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), "go", "run", "./cmd/cxbridge", "demo", "--once")
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	at := 0
	for _, subject := range []string{"cx.conversation.created", "cx.message.created", "cx.cmd.message.send", "cx.result.message.send."} {
		next := bytes.Index(out[at:], []byte("\n"+subject))
		if next < 0 {
			t.Fatalf("%s is not shown where it belongs:\n%s", subject, out)
		}
		at += next
	}
}

// TestTheBotOfTheREADMECompiles vets the bot in Go, in a module of its own that has the libraries of this one.
func TestTheBotOfTheREADMECompiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := "package main\n\nimport (\n\t\"context\"\n\t\"fmt\"\n\n\t\"github.com/nats-io/nats.go\"\n\t\"github.com/nats-io/nats.go/jetstream\"\n)\n\n" +
		"func main() {\n\tctx := context.Background()\n" + block(t, "go") + "}\n"
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), "go", "vet", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, out, program)
	}
}

func TestTheConfigurationOfTheREADMEHasNoMistake(t *testing.T) {
	dir := t.TempDir()
	text := block(t, "toml")
	for _, secret := range regexp.MustCompile(`"/run/secrets/[^"]*"`).FindAllString(text, -1) {
		path := filepath.Join(dir, filepath.Base(strings.Trim(secret, `"`)))
		if err := os.WriteFile(path, []byte("a-secret-of-enough-length-0123456789\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		text = strings.ReplaceAll(text, secret, "'"+path+"'")
	}
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bridge.LoadConfig(bridge.Sources{File: file}); err != nil {
		t.Error(err)
	}
}

func TestEveryTestThatTheREADMENamesExists(t *testing.T) {
	named := regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*)`").FindAllStringSubmatch(readme(t), -1)
	if len(named) == 0 {
		t.Fatal("README.md names no test")
	}
	there := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(text, -1) {
			there[string(found[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range named {
		if !there[name[1]] {
			t.Errorf("%s does not exist", name[1])
		}
	}
}

func TestTheREADMETellsEveryStatusAndReason(t *testing.T) {
	_, rest, _ := strings.Cut(readme(t), "\n| status |")
	table, _, _ := strings.Cut(rest, "\n\n")
	var statuses, wantStatuses []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.*\\| (yes|no) \\|$").FindAllStringSubmatch(table, -1) {
		statuses = append(statuses, row[1]+" "+row[2])
	}
	for _, s := range subjects.Statuses() {
		wantStatuses = append(wantStatuses, string(s)+map[bool]string{true: " yes", false: " no"}[s.DeadLetter()])
	}
	if !slices.Equal(statuses, wantStatuses) {
		t.Errorf("the table of statuses has %q; want %q", statuses, wantStatuses)
	}
	_, rest, _ = strings.Cut(readme(t), "The reason is one word of")
	sentence, _, _ := strings.Cut(rest, ";")
	var reasons, wantReasons []string
	for _, word := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(sentence, -1) {
		reasons = append(reasons, word[1])
	}
	for _, r := range subjects.Reasons() {
		wantReasons = append(wantReasons, string(r))
	}
	if !slices.Equal(reasons, wantReasons) {
		t.Errorf("the list of reasons has %q; want %q", reasons, wantReasons)
	}
}
