//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for a condition; a passing run comes nowhere near it.
const patience = 3 * time.Minute

// process is a program that a test started.
type process struct {
	cmd    *exec.Cmd
	output *output
	ended  chan struct{}
}

// start runs a program until the test ends.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), output: &output{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is read from the process state
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s printed:\n%s", p.cmd.Path, p.output.tail())
		}
	})
	return p
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended, or be frozen
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop asks the process to end and returns its exit status.
func (p *process) stop(t *testing.T) int {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		t.Fatalf("%s does not end; it printed:\n%s", p.cmd.Path, p.output.tail())
		return -1
	}
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// running reports whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// output keeps what a process prints.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func (o *output) tail() string {
	s := o.String()
	if len(s) > 8000 {
		s = "…" + s[len(s)-8000:]
	}
	return s
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v for: %s", patience, what)
		}
		pause(20 * time.Millisecond)
	}
}

// pause lets time pass between two looks at a condition, or between two blows of a storm.
func pause(d time.Duration) { <-time.After(d) }

// get asks an admin listener and returns the status, 0 if nobody answers.
func get(url string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, err.Error()
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

// natsServer is a nats-server as a process; it keeps its port and its store over restarts.
type natsServer struct {
	port  int
	store string
	env   []string // of a member of a cluster
	*process
}

func startNATS(t *testing.T) *natsServer {
	t.Helper()
	n := &natsServer{port: freePort(t), store: t.TempDir()}
	n.restart(t)
	return n
}

func (n *natsServer) url() string { return fmt.Sprintf("nats://127.0.0.1:%d", n.port) }

// restart starts the server again after it was killed or stopped.
func (n *natsServer) restart(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	n.process = start(t, append([]string{fmt.Sprintf("%s=%d", envServerPort, n.port), envServerStore + "=" + n.store}, n.env...), self)
}

// bridge is cxbridge as a process.
type bridge struct {
	webhook, admin string
	config         string
	env            []string
	*process
}

// startBridge runs the binary with the given configuration, to which the listeners are added, and waits until it takes webhooks.
func startBridge(t *testing.T, config string) *bridge {
	t.Helper()
	b := &bridge{webhook: localhost(freePort(t)), admin: localhost(freePort(t))}
	b.config = t.TempDir() + "/config.toml"
	config = strings.NewReplacer("WEBHOOK", b.webhook, "ADMIN", b.admin).Replace(config)
	if err := os.WriteFile(b.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.restart(t)
	return b
}

// restart starts the bridge again after it was killed or stopped.
func (b *bridge) restart(t *testing.T) {
	t.Helper()
	b.process = start(t, b.env, binary, "run", "--config", b.config)
	eventually(t, "the bridge is alive", func() bool {
		if !b.running() {
			t.Fatalf("the bridge ended: %s", b.output.tail())
		}
		status, _ := get("http://" + b.admin + "/livez")
		return status == http.StatusOK
	})
}

// ready waits until /readyz says so.
func (b *bridge) ready(t *testing.T) {
	t.Helper()
	eventually(t, "the bridge is ready", func() bool {
		status, _ := get("http://" + b.admin + "/readyz")
		return status == http.StatusOK
	})
}

var errNotAccepted = errors.New("not accepted")
