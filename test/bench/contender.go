package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"
)

// Names of what is measured.
const (
	contenderFloor  = "floor"
	contenderLedger = "floor+ledger"
	contenderBridge = "bridge"
)

const (
	pathToken = "bench-path-token-0123456789abcdef"
	hmacKey   = "bench-secret-0123456789abcdef0123456789abcdef"
)

// contender is a program and the nats-server that it works with.
type contender struct {
	name    string
	program *process
	bus     *bus
	address string // of its webhook listener
}

func (c *contender) stop() error { return errors.Join(c.program.stop(), c.bus.stop()) }

// usage is CPU time of a contender.
type usage struct{ program, bus time.Duration }

func (u usage) both() time.Duration { return u.program + u.bus }

func (u usage) minus(before usage) usage {
	return usage{u.program - before.program, u.bus - before.bus}
}

func (c *contender) cpu() (usage, error) {
	program, err1 := c.program.cpu()
	bus, err2 := c.bus.server.cpu()
	return usage{program, bus}, errors.Join(err1, err2)
}

const bridgeConfig = `
[cx]
base_url = "%s"
tenant_domain = "acme.cx.sangoma.com"
access_token = "bench-token"
rate_per_second = 0.0
[nats]
mode = "external"
url = "%s"
[webhook]
listen = "%s"
path_tokens = ["` + pathToken + `"]
signature_mode = "%s"
signature_secrets = ["` + hmacKey + `"]
[spool]
dir = "%s"
[commands]
max_in_flight = %d
[admin]
listen = "%s"
`

// startBridge starts the bridge and returns it with the address of its webhook listener when it is ready.
func (b *bench) startBridge(ctx context.Context, bus *bus, api string, inFlight int) (*process, string, error) {
	webhook, err1 := freeAddress()
	admin, err2 := freeAddress()
	if err := errors.Join(err1, err2); err != nil {
		return nil, "", err
	}
	mode := "off"
	if b.signed {
		mode = "enforce"
	}
	dir := b.newDir("bridge")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	config := fmt.Sprintf(bridgeConfig, api, bus.url, webhook, mode, dir+"/spool", inFlight, admin)
	if err := os.WriteFile(dir+"/config.toml", []byte(config), 0o600); err != nil {
		return nil, "", err
	}
	log, err := os.Create(dir + "/log")
	if err != nil {
		return nil, "", err
	}
	defer log.Close()
	cmd := exec.CommandContext(ctx, b.binary, "run", "--config", dir+"/config.toml")
	cmd.Env = append(os.Environ(), b.env...)
	cmd.Stdout, cmd.Stderr = log, log
	if b.keep {
		cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	}
	p, err := begin(contenderBridge, cmd)
	if err != nil {
		return nil, "", err
	}
	p.admin = admin
	if err := p.ready(ctx, "http://"+admin+"/readyz"); err != nil {
		text, readErr := os.ReadFile(dir + "/log")
		return nil, "", errors.Join(err, fmt.Errorf("its log:\n%s", text), readErr, p.stop())
	}
	return p, webhook, nil
}

// ready waits until an address answers 200.
func (p *process) ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		status, _, err := get(ctx, url)
		if err == nil && status == http.StatusOK {
			return nil
		}
		if err := p.running(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s does not become ready: %w", p.name, or(err, ctx.Err()))
		}
		pause(ctx, 10*time.Millisecond)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback, at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// sideBySide is the order in which contenders take their turns in a round: another one first each time.
func sideBySide[T any](all []T, round int) []T {
	turned := append([]T{}, all[round%len(all):]...)
	return append(turned, all[:round%len(all)]...)
}
