package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Roles that the bench's own binary plays when it is started with envRole.
const (
	envRole      = "CXBRIDGE_BENCH_ROLE"
	roleNATS     = "nats"
	roleStub     = "stub"
	roleIngest   = "floor-ingest"
	roleCommands = "floor-commands"
)

const (
	startTime = time.Minute
	stopTime  = 30 * time.Second
)

// process is a program that the bench started.
type process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.Closer // of a role: its end asks it to stop
	ended chan struct{}
	err   error // how it ended; read after ended is closed
	done  bool
	admin string // address for operators, of a bridge
}

func begin(name string, cmd *exec.Cmd) (*process, error) {
	p := &process{name: name, cmd: cmd, ended: make(chan struct{})}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startRole starts this binary once more, and returns what it says first: its address.
func startRole(ctx context.Context, role string, env ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(append(os.Environ(), envRole+"="+role), env...)
	cmd.Stderr = os.Stderr
	out, in, err := os.Pipe()
	if err != nil {
		return nil, "", err
	}
	cmd.Stdout = in
	p, err := begin(role, cmd)
	if closed := in.Close(); err == nil && closed != nil {
		err = errors.Join(closed, p.stop())
	}
	if err != nil {
		return nil, "", errors.Join(err, out.Close())
	}
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s: does not start: %w", role, err), out.Close(), p.stop())
	}
	return p, strings.TrimSpace(address), out.Close()
}

// announce tells the bench the address of a role, and returns a context that ends when the bench wants the role to stop, or is gone.
func announce(ctx context.Context, address string) (context.Context, error) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, os.Stdin) // however it ends, it has ended
	}()
	_, err := fmt.Println(address)
	return ctx, err
}

// stop asks the process to finish, waits for it, and kills it if it does not. Stopping twice is fine.
func (p *process) stop() error {
	if p == nil || p.done {
		return nil
	}
	p.done = true
	err := p.stdin.Close()
	if p.name == contenderBridge {
		err = errors.Join(err, p.cmd.Process.Signal(syscall.SIGTERM))
	}
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.ended:
		return errors.Join(err, p.err)
	case <-timer.C:
		kill := p.cmd.Process.Kill()
		<-p.ended
		return errors.Join(fmt.Errorf("%s did not stop and was killed", p.name), kill)
	}
}

// running returns an error if the process has ended.
func (p *process) running() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s ended: %w", p.name, or(p.err, errors.New("without an error")))
	default:
		return nil
	}
}

// clockTick is the unit of CPU times in /proc.
const clockTick = 10 * time.Millisecond

// cpu returns the CPU time that the process has used, in user mode and in the kernel.
func (p *process) cpu() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 13 {
		return 0, errors.New("/proc: a stat file that is not understood")
	}
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	return time.Duration(user+system) * clockTick, errors.Join(err1, err2)
}

// peak returns the most memory that the process has had resident, in bytes.
func (p *process) peak() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kilobytes, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kilobytes << 10, err
		}
	}
	return 0, errors.New("/proc: a status file without VmHWM")
}
