package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// errBroken is the end of a run that broke a rule.
var errBroken = errors.New("a rule is broken")

// one is one run: a plan from a seed, a world, and the judgement.
type one struct {
	options
	seed uint64
	plan []injection
}

// run blows one storm. The error is errBroken if a rule is broken, and what prevented the run otherwise.
func (o *one) run(ctx context.Context, binaries [bridges]string) (err error) {
	dir, err := os.MkdirTemp("", "cxbridge-chaos-")
	if err != nil {
		return err
	}
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	again := fmt.Sprintf("-seed %d -for %s", o.seed, o.length)
	if len(chosen) > 0 {
		again += " -kinds " + o.kinds
	}
	if o.calls != maxInFlight {
		again += fmt.Sprintf(" -calls %d", o.calls)
	}
	fmt.Printf("\nseed %d, %s; again with: go run ./test/chaos %s\n", o.seed, o.length, again)
	o.plan = newPlan(o.seed, o.length, leaseTTL, chosen...)
	if !o.quiet {
		for _, i := range o.plan {
			fmt.Println(" ", i)
		}
	}
	begun := time.Now()
	w, err := build(ctx, o.seed, dir, binaries, o.calls)
	if err != nil {
		_ = w.tearDown() // why it could not be built says more
		return fmt.Errorf("start: %w (%s)", err, dir)
	}
	fmt.Printf("  everything runs after %.1f s\n", time.Since(begun).Seconds())
	h, s, err := o.storm(ctx, w)
	if down := w.tearDown(); err == nil {
		err = down
	}
	if err != nil {
		return fmt.Errorf("%w (%s)", err, dir)
	}
	found, counted := judge(h)
	report(s, found, counted)
	fmt.Printf("  took %.1f s\n", time.Since(begun).Seconds())
	if len(found) == 0 && !o.keep {
		return os.RemoveAll(dir)
	}
	if text, err := json.MarshalIndent(h, "", " "); err == nil {
		_ = os.WriteFile(filepath.Join(dir, "history.json"), text, 0o600) // the report has the essence
	}
	fmt.Printf("  the logs and the history are in %s\n", dir)
	if len(found) > 0 {
		return errBroken
	}
	return nil
}

// storm carries out the plan under load, waits until all is calm, and reads what happened.
func (o *one) storm(ctx context.Context, w *world) (*history, *storm, error) {
	l := &load{seed: o.seed, sim: w.sim, js: w.js, rate: o.rate}
	writing, stop := context.WithCancel(ctx)
	defer stop()
	written := make(chan error, 1)
	go func() { written <- l.run(writing) }()
	s := newStorm(w, l)
	watching, rest := context.WithCancel(ctx)
	defer rest()
	go s.supervise(watching)
	h := &history{}
	if err := s.blow(ctx, o.plan); err != nil {
		return nil, s, err
	}
	stop()
	if err := <-written; err != nil {
		return nil, s, err
	}
	h.Sent, h.Freezes = l.commands(), s.freezes
	calm := time.Now()
	h.Waiting = w.settle(ctx, len(h.Sent), o.patience)
	fmt.Printf("  calm %.1f s after the storm; waited last for: %s\n", time.Since(calm).Seconds(), strings.Join(w.last, "; "))
	h.Deserted = w.deserted()
	return h, s, w.read(ctx, h)
}

func report(s *storm, found []violation, counted map[string]int) {
	_, refused := s.balancer.record()
	if s.revived > 0 {
		counted["processes that ended because their disk was full, and were started again"] = s.revived
	}
	if s.nobody > 0 {
		counted["times that no bridge was active when the active one was meant"] = s.nobody
	}
	counted["webhooks that neither bridge took at first"] = refused
	for _, k := range kinds() {
		if n := s.done[k]; n > 0 {
			counted["trouble: "+string(k)] = n
		}
	}
	for _, what := range sorted(counted) {
		fmt.Printf("  %7d %s\n", counted[what], what)
	}
	for _, why := range sorted(s.left) {
		fmt.Printf("  left out %d times: %s\n", s.left[why], why)
	}
	fmt.Println("  left out: clocks that are wrong (a process has the clock of its machine)")
	const most = 8
	for _, v := range found {
		fmt.Printf("  BROKEN %s: %s\n", v.name, v.says)
		for i, e := range v.evidence {
			if i == most {
				fmt.Printf("    and %d more\n", len(v.evidence)-most)
				break
			}
			fmt.Printf("    %s\n", e)
		}
	}
	if len(found) == 0 {
		fmt.Printf("  all %d rules hold\n", len(rules()))
	}
}
