//go:build interop

package interop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// bot is an example, and how to build and run it. DIR stands for its folder, CACHE for what setup.sh installed, OUT for a folder of the test.
type bot struct {
	name      string // of its durable consumer, and the beginning of its command ids
	folder    string
	source    string
	tools     []string   // that it needs: names of commands, or paths
	build     [][]string // one command after the other
	run       []string
	env       []string
	byRequest bool // it gets results as answers to requests, not from the stream
}

var bots = []bot{
	{
		name: "go-bot", folder: "go", source: "main.go", tools: []string{"go"},
		build: [][]string{{"go", "build", "-o", "OUT/bot", "."}},
		run:   []string{"OUT/bot"},
	},
	{
		name: "python-bot", folder: "python", source: "bot.py", tools: []string{"CACHE/python/bin/python"},
		run: []string{"CACHE/python/bin/python", "bot.py"},
	},
	{
		name: "javascript-bot", folder: "javascript", source: "bot.js", tools: []string{"node", "DIR/node_modules"},
		run: []string{"node", "bot.js"},
	},
	{
		name: "rust-bot", folder: "rust", source: "src/main.rs", tools: []string{"cargo", "cc"},
		build: [][]string{{"cargo", "build", "--quiet", "--target-dir", "CACHE/rust"}},
		run:   []string{"CACHE/rust/debug/rust-bot"},
	},
	{
		name: "java-bot", folder: "java", source: "Bot.java", tools: []string{"java", "javac", "CACHE/java"},
		build: [][]string{{"javac", "-cp", "CACHE/java/*", "-d", "OUT", "Bot.java"}},
		run:   []string{"java", "-cp", "OUT:CACHE/java/*", "Bot"},
	},
	{
		name: "c-bot", folder: "c", source: "bot.c", tools: []string{"cc", "pkg-config"},
		build: [][]string{{"sh", "-c", "cc -std=c11 -Wall -Wextra -Werror -o OUT/bot bot.c $(pkg-config --cflags --libs libnats libcjson)"}},
		run:   []string{"OUT/bot"},
	},
	{
		name: "shell-bot", folder: "shell", source: "bot.sh", tools: []string{"bash", "jq", "CACHE/bin/nats"}, byRequest: true,
		run: []string{"bash", "bot.sh"}, env: []string{"PATH=CACHE/bin:" + os.Getenv("PATH"), "NATS_TIMEOUT=5m"},
	},
}

// slowBots are those whose answers take their time.
var slowBots = []bot{
	{
		name: "python-llm-bot", folder: "python", source: "llm_bot.py", tools: []string{"CACHE/python/bin/python"},
		run: []string{"CACHE/python/bin/python", "llm_bot.py"},
	},
	{
		name: "javascript-llm-bot", folder: "javascript", source: "llm_bot.js", tools: []string{"node", "DIR/node_modules"},
		run: []string{"node", "llm_bot.js"},
	},
}

// made is a bot that was built.
type made struct {
	bot
	dir   string
	place *strings.Replacer
}

// make builds a bot; it fails with the remedy if something is missing.
func (b bot) make(t *testing.T) made {
	t.Helper()
	dir, err := filepath.Abs("../../examples/" + b.folder)
	if err != nil {
		t.Fatal(err)
	}
	cache, err := filepath.Abs(".cache")
	if err != nil {
		t.Fatal(err)
	}
	m := made{bot: b, dir: dir, place: strings.NewReplacer("DIR/", dir+"/", "CACHE", cache, "OUT", t.TempDir())}
	for _, tool := range m.placed(b.tools) {
		if !there(tool) {
			t.Fatalf("%s is missing: run test/interop/setup.sh", tool)
		}
	}
	for _, args := range b.build {
		args = m.placed(args)
		ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		cancel()
		if err != nil {
			t.Fatalf("%s: %v\n%s\nIf something is missing: run test/interop/setup.sh", strings.Join(args, " "), err, out)
		}
	}
	return m
}

// start runs the bot until the test ends, and waits until it listens.
func (m made) start(t *testing.T, w *world, env ...string) *process {
	t.Helper()
	js := w.connect(t)
	env = append(env, "NATS_URL="+w.url())
	p := start(t, m.name, m.dir, append(env, m.placed(m.env)...), m.placed(m.run)...)
	eventually(t, m.name+" listens", func() bool {
		return consumer(t, js, "CX_EVENTS", m.name) != nil && (m.byRequest || consumer(t, js, "CX_RESULTS", m.name+"-results") != nil)
	}, p, w.bridge)
	return p
}

func (m made) placed(args []string) []string {
	placed := make([]string, len(args))
	for i, a := range args {
		placed[i] = m.place.Replace(a)
	}
	return placed
}

// there tells whether a command or a path exists.
func there(tool string) bool {
	if strings.HasPrefix(tool, "/") {
		_, err := os.Stat(tool)
		return err == nil
	}
	_, err := exec.LookPath(tool)
	return err == nil
}
