//go:build interop

package interop

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test started, with a process group of its own.
type process struct {
	name string
	cmd  *exec.Cmd
	end  chan struct{}

	mu  sync.Mutex
	buf bytes.Buffer
}

// start runs a program until the test ends.
func start(t *testing.T, name, dir string, env []string, args ...string) *process {
	t.Helper()
	p := &process{name: name, cmd: exec.Command(args[0], args[1:]...), end: make(chan struct{})}
	p.cmd.Dir, p.cmd.Env = dir, append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.WaitDelay = 10 * time.Second
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is read from the process state
		close(p.end)
	}()
	t.Cleanup(func() {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended; its children with it
		<-p.end
		if t.Failed() {
			t.Logf("%s printed:\n%s", p.name, p.tail())
		}
	})
	return p
}

// stop asks the process to end, and waits for it.
func (p *process) stop(t *testing.T) {
	t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.end:
	case <-time.After(patience):
		t.Fatalf("%s does not end", p.name)
	}
}

func (p *process) ended() bool {
	select {
	case <-p.end:
		return true
	default:
		return false
	}
}

// Write takes what the process prints.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.Write(b)
}

func (p *process) output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.buf.String()
}

// printed tells how often the process printed a line.
func (p *process) printed(line string) int {
	n := 0
	for l := range strings.Lines(p.output()) {
		if strings.TrimSpace(l) == line {
			n++
		}
	}
	return n
}

func (p *process) tail() string {
	s := p.output()
	if len(s) > 8000 {
		s = "…" + s[len(s)-8000:]
	}
	return s
}
