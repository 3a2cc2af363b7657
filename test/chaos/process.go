package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// process is a program that the storm started. Its end, by whatever way, closes ended.
type process struct {
	name  string
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // how it ended; read after ended is closed

	mu     sync.Mutex
	wanted bool // it is being ended on purpose
}

// launch starts a program that is killed when this one dies. What it prints is added to a file.
func launch(name, dir string, env []string, program string, args ...string) (*process, error) {
	out, err := os.OpenFile(filepath.Join(dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{name: name, cmd: exec.Command(program, args...), ended: make(chan struct{})} //nolint:noctx // it is ended by signals, as the plan says
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// expectEnd notes that the process may end from now on.
func (p *process) expectEnd() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
}

// deserted reports whether the process ended although nobody asked it to.
func (p *process) deserted() bool {
	select {
	case <-p.ended:
		p.mu.Lock()
		defer p.mu.Unlock()
		return !p.wanted
	default:
		return false
	}
}

// kill ends the process at once, as a crash does.
func (p *process) kill() {
	p.expectEnd()
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// stop asks the process to end, and kills it if it does not within the time. It reports whether it ended by itself.
func (p *process) stop(within time.Duration) bool {
	p.expectEnd()
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.ended:
		return true
	case <-timer.C:
		p.kill()
		return false
	}
}

// freeze stops the process in the middle of whatever it does; thaw lets it go on.
func (p *process) freeze() { _ = p.cmd.Process.Signal(syscall.SIGSTOP) }
func (p *process) thaw()   { _ = p.cmd.Process.Signal(syscall.SIGCONT) }

// tail returns the end of a process's output.
func tail(dir, name string, lines int) string {
	text, err := os.ReadFile(filepath.Join(dir, name+".log"))
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
