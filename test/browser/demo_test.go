//go:build browser

package browser

import (
	"bufio"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
)

// TestTheDemoIsTheWholeStory is what a newcomer does after "cxbridge demo".
func TestTheDemoIsTheWholeStory(t *testing.T) {
	url := demo(t)
	v := newTab(t, 500, 740)
	v.open(url + "/")
	v.until(`!document.querySelector("#start").hidden`)
	v.write("#name", "Zoe")
	v.click("#start button")
	v.says("Hello?")
	v.untilText("li.bot .bubble", `You said "Hello?"`)
	v.says("agent")
	v.untilText("li.bot .bubble", "I am getting a human")
	v.untilText("#state", "on the way")

	a := newTab(t, 940, 740)
	a.open(url + "/_sim/")
	a.untilText("nav button", "Zoe")
	a.until(`[...document.querySelectorAll("nav button")].some((e) => e.textContent.includes("Zoe") && !e.click()) && document.querySelector("#title").textContent.includes("Zoe")`)
	a.click("#pick-up")
	a.untilText("#status", "with Bo")
	a.write("#text", "Hi, I am Bo.")
	a.click("#say")
	v.untilText("li.agent .bubble", "Hi, I am Bo.")
	v.untilText("#state", "Bo is with you")
	v.says("Thanks!")
	a.untilText("#messages li.incoming", "Thanks!")
	a.click("#resolve")
	v.untilText("#over", "finished")
}

// demo runs the program and returns the address of the chat.
func demo(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "cxbridge")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/cxbridge/cxbridge/cmd/cxbridge")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.CommandContext(context.Background(), binary, "demo", "--pace", "1ms", "--port", "0", "--webhook-port", "0", "--admin-port", "0", "--sim-port", "0", "--chat-port", "0")
	out, err := run.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	run.Stderr = os.Stderr
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	found, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		address := regexp.MustCompile(`browser: +(http://[0-9.:]+)/`)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if m := address.FindStringSubmatch(lines.Text()); m != nil {
				found <- m[1]
			}
		}
	}()
	t.Cleanup(func() {
		if err := run.Process.Signal(os.Interrupt); err != nil {
			t.Error(err)
		}
		<-read
		if err := run.Wait(); err != nil {
			t.Errorf("the demo ended with %v", err)
		}
	})
	select {
	case url := <-found:
		return url
	case <-read:
		t.Fatal("the demo ended")
	case <-time.After(natstest.Patience):
		t.Fatal("the demo does not say where the chat is")
	}
	return ""
}
