//go:build contract

package contract

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// installed returns a folder with the scripts of this one, and the packages that they need.
func installed(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", "asyncapi.mjs", "cloudevents.mjs"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	return dir
}

func run(t *testing.T, dir string, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	var out, problems bytes.Buffer
	command.Dir, command.Stdin, command.Stdout, command.Stderr = dir, bytes.NewReader(stdin), &out, &problems
	if err := command.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.Bytes(), problems.Bytes())
	}
	return out.Bytes()
}

type diagnostic struct {
	Severity            int
	Code, Message, Path string
}

// judge returns what the parser has to say of a document.
func judge(t *testing.T, dir, path string) []diagnostic {
	t.Helper()
	var all []diagnostic
	if err := json.Unmarshal(run(t, dir, nil, "node", "asyncapi.mjs", path), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestJudgesOfNPM(t *testing.T) {
	dir := installed(t)
	t.Run("the AsyncAPI parser finds no fault with the document", func(t *testing.T) { parserAccepts(t, dir) })
	t.Run("the CloudEvents SDK accepts events and results", func(t *testing.T) { sdkAccepts(t, dir) })
}

func parserAccepts(t *testing.T, dir string) {
	path, err := filepath.Abs("../../docs/asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range judge(t, dir, path) {
		if d.Code != "asyncapi-latest-version" { // version 3.0 is what most tools read
			t.Errorf("%+v", d)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := filepath.Join(dir, "spoilt.json")
	for _, change := range [][2]string{{`"action": "send"`, `"action": "shout"`}, {`"title": "cxbridge"`, `"name": "cxbridge"`}, {`#/components/messages/result"`, `#/components/messages/nothing"`}} {
		if err := os.WriteFile(spoilt, bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(judge(t, dir, spoilt), func(d diagnostic) bool { return d.Severity <= 1 }) {
			t.Errorf("the parser accepts %s", change[1])
		}
	}
}

func sdkAccepts(t *testing.T, dir string) {
	type message struct {
		Headers map[string]string `json:"headers"`
		Body    string            `json:"body"`
	}
	all := slices.Concat(events(t), examples(t))
	var sent []message
	for _, m := range all {
		headers := map[string]string{}
		for name, values := range m.Header {
			headers[strings.ToLower(name)] = values[0]
		}
		sent = append(sent, message{headers, string(m.Data)})
	}
	raw, err := json.Marshal(sent)
	if err != nil {
		t.Fatal(err)
	}
	var got []map[string]any
	if err := json.Unmarshal(run(t, dir, raw, "node", "cloudevents.mjs"), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != len(all) {
		t.Fatalf("%d events of %d messages", len(got), len(all))
	}
	for i, m := range all {
		if err := differ(got[i], wanted(m)); err != nil {
			t.Errorf("%s: %v", m.Subject, err)
		}
	}
}
