package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const program = "./cmd/cxbridge"

// build makes the binaries of the bridges.
func (o options) build(ctx context.Context, dir string) (binaries [bridges]string, err error) {
	now := o.binary
	if now == "" {
		now = filepath.Join(dir, "cxbridge")
		if err := goBuild(ctx, "", "-o", now, program); err != nil {
			return binaries, err
		}
	}
	if now, err = filepath.Abs(now); err != nil {
		return binaries, err
	}
	binaries = [bridges]string{now, now}
	if o.older != "" {
		binaries[1], err = buildOlder(ctx, dir, o.older)
	}
	return binaries, err
}

// goBuild runs go build in a directory; the empty one is the current one.
func goBuild(ctx context.Context, in string, args ...string) error {
	c := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...)
	c.Dir = in
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// buildOlder builds the bridge of another commit, from its files alone.
func buildOlder(ctx context.Context, dir, commit string) (string, error) {
	source := filepath.Join(dir, "older")
	if err := os.Mkdir(source, 0o700); err != nil {
		return "", err
	}
	files, err := exec.CommandContext(ctx, "git", "archive", commit).Output()
	if err != nil {
		return "", fmt.Errorf("git archive %s: %w", commit, err)
	}
	unpack := exec.CommandContext(ctx, "tar", "-x", "-C", source)
	unpack.Stdin = bytes.NewReader(files)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("tar: %w\n%s", err, out)
	}
	binary := filepath.Join(dir, "cxbridge-older")
	return binary, goBuild(ctx, source, "-o", binary, program)
}

// fracture is a way to break the bridge: in a copy of one file the beginning of a function is replaced, and the build takes the copy. Kinds are
// those of the storm that has to catch it, unless others are asked for; empty is all. So are calls.
type fracture struct {
	name, file, from, to, kinds string
	calls                       int // at once; 0 for those that are asked for
}

func fractures() []fracture {
	return []fracture{
		{
			name: "claim left out", file: "bridge/ledger/claim.go",
			from: "func (e *Epoch) Claim(ctx context.Context, c Claim) (Claim, error) {\n",
			to: "func (e *Epoch) Claim(_ context.Context, c Claim) (Claim, error) {\n\tc.Epoch, c.Seq = e.number, e.last.Load()\n\te.hold(c)\n\treturn c, nil\n}\n\n" +
				"func (e *Epoch) formerClaim(ctx context.Context, c Claim) (Claim, error) {\n",
		},
		{
			name: "lease check left out", file: "bridge/lease/term.go", kinds: string(freezeBacklog), calls: 19, // one less than open the circuit breaker when all of them fail
			from: "func (t *Term) left() time.Duration {\n",
			to:   "func (t *Term) left() time.Duration { return t.lease.usable() }\n\nfunc (t *Term) formerLeft() time.Duration {\n",
		},
		{
			name: "ack before publish", file: "bridge/webhook/publish.go",
			from: "func (s *store) put(msg *nats.Msg) (outcome, error) {\n",
			to: "func (s *store) put(msg *nats.Msg) (outcome, error) {\n" +
				"\tlater := &nats.Msg{Subject: string([]byte(msg.Subject)), Data: append([]byte(nil), msg.Data...), Header: nats.Header{}}\n" +
				"\tfor name, values := range msg.Header {\n\t\tfor _, v := range values {\n\t\t\tlater.Header[name] = append(later.Header[name], string([]byte(v)))\n\t\t}\n\t}\n" +
				"\tgo func() { _, _ = s.formerPut(later) }()\n\treturn outcomeStored, nil\n}\n\n" +
				"func (s *store) formerPut(msg *nats.Msg) (outcome, error) {\n",
		},
	}
}

// breakAll demands that each broken build is caught.
func breakAll(ctx context.Context, o options, seeds []uint64, dir string) error {
	var missed []error
	for n, f := range fractures() {
		if !strings.Contains(f.name, o.only) {
			continue
		}
		binary, err := f.build(ctx, dir, n)
		if err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		fmt.Printf("\n%s\n", strings.ToUpper(f.name))
		if err := f.demand(ctx, o, seeds, binary); err != nil {
			missed = append(missed, err)
		}
	}
	return errors.Join(missed...)
}

// demand tries the seeds until one catches the broken build.
func (f fracture) demand(ctx context.Context, o options, seeds []uint64, binary string) error {
	begun := time.Now()
	if o.kinds == "" {
		o.kinds = f.kinds
	}
	if o.calls == maxInFlight && f.calls > 0 {
		o.calls = f.calls
	}
	for _, seed := range seeds {
		err := (&one{options: o, seed: seed}).run(ctx, [bridges]string{binary, binary})
		switch {
		case errors.Is(err, errBroken):
			fmt.Printf("  CAUGHT: %s, after %.0f s\n", f.name, time.Since(begun).Seconds())
			return nil
		case err != nil:
			return err
		}
	}
	return fmt.Errorf("%s: not caught within %.0f s", f.name, time.Since(begun).Seconds())
}

func (f fracture) build(ctx context.Context, dir string, number int) (string, error) {
	source, err := filepath.Abs(f.file)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), f.from); n != 1 {
		return "", fmt.Errorf("%s has the text to be broken %d times: bring test/chaos up to date", f.file, n)
	}
	replaced := filepath.Join(dir, fmt.Sprintf("broken-%d.go", number))
	if err := os.WriteFile(replaced, []byte(strings.Replace(string(text), f.from, f.to, 1)), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{source: replaced}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, fmt.Sprintf("broken-%d.json", number))
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	binary := filepath.Join(dir, fmt.Sprintf("cxbridge-broken-%d", number))
	return binary, goBuild(ctx, "", "-overlay", list, "-o", binary, program)
}
