//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestTheBotOfTheSimulatorsPagePassesItsOwnTest does what docs/simulator.md tells somebody to do who has never seen this before: a bridge, the
// bot of the page, and the simulator with the scenario of the page, on ports that are free.
func TestTheBotOfTheSimulatorsPagePassesItsOwnTest(t *testing.T) {
	python, err := filepath.Abs(".cache/python/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if !there(python) {
		t.Fatalf("%s is missing: run test/interop/setup.sh", python)
	}
	text, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	admin := freeAddress(t)
	page := strings.NewReplacer(
		"127.0.0.1:4222", freeAddress(t), "127.0.0.1:8080", freeAddress(t), "127.0.0.1:8090", freeAddress(t), `"within": "60s"`, `"within": "10m"`,
	)
	dir := t.TempDir()
	for name, block := range map[string]string{
		"bridge.toml": "```toml\n", "bot.py": "<!-- a whole bot, run by a test -->\n```python\n", "story.json": "<!-- story.json -->\n```json\n",
	} {
		found := regexp.MustCompile("(?s)" + block + "(.*?)```").FindSubmatch(text)
		if found == nil {
			t.Fatalf("the page has no %s", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(page.Replace(string(found[1]))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := regexp.MustCompile(`(?m)^    \./cxbridge (sim .* --scenario .*)$`).FindSubmatch(text)
	if line == nil {
		t.Fatal("the page does not tell how to play the scenario")
	}

	bridge := start(t, "cxbridge", dir, nil, binary, "run", "--config", "bridge.toml", "--admin.listen", admin,
		"--webhook.listen", page.Replace("127.0.0.1:8080"), "--nats.embedded.listen", page.Replace("127.0.0.1:4222"))
	eventually(t, "the bridge is ready", func() bool { return strings.Contains(bridge.output(), "is ready") }, bridge)
	bot := start(t, "bot.py", dir, nil, python, "bot.py")
	eventually(t, "the bot listens", func() bool { return strings.Contains(bot.output(), "ready\n") }, bot, bridge)
	args := append(strings.Fields(page.Replace(string(line[1]))), "--listen", page.Replace("127.0.0.1:8090"), "--webhook-attempts", "-1")
	sim := start(t, "cxbridge sim", dir, nil, slices.Concat([]string{binary}, args)...)
	eventually(t, "the scenario has been played", sim.ended, bot, bridge)
	if code := sim.cmd.ProcessState.ExitCode(); code != 0 || !strings.Contains(sim.output(), "The scenario has been played.") {
		t.Errorf("exit status %d\n%s\nbot.py printed:\n%s", code, sim.output(), bot.output())
	}
}
