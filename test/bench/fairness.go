package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// fairConversations have commands at a steady rate; the first of them is the one that may fail.
const fairConversations = 100

// fair is one measurement: how old the commands of all other conversations were at their calls.
type fair struct {
	tally
	foreign float64
}

// fairness compares the age of commands at their calls while one conversation fails all the time with that while none does.
func fairness(ctx context.Context, b *bench) error {
	cells, err := cellsOf(b.cells, []string{"20ms/64"})
	if err != nil {
		return err
	}
	rounds, length := or(b.rounds, 3), or(b.length, 15*time.Second)
	template, err := b.prepare(ctx, 0, 1)
	if err != nil {
		return err
	}
	fmt.Printf("%d commands a second of %d conversations, of which one fails, or none; %d rounds of %v each; milliseconds from the publishing to the call, of the %d others\n",
		ageRate, fairConversations, rounds, length, fairConversations-1)
	for _, c := range cells {
		var failing, calm []fair
		for round := range rounds {
			for _, fails := range sideBySide([]bool{true, false}, round) {
				f, err := b.fairOf(ctx, c, template, fails, length)
				if err != nil {
					return fmt.Errorf("%v: %w", c, err)
				}
				if fails {
					failing = append(failing, f)
				} else {
					calm = append(calm, f)
				}
			}
		}
		printFairness(c, failing, calm)
	}
	return nil
}

func printFairness(c cell, failing, calm []fair) {
	used := quiet(len(calm), func(i int) float64 { return max(failing[i].foreign, calm[i].foreign) })
	of := func(all []fair, get func(tally) time.Duration) string {
		return spread(pick(used, func(i int) float64 { return milliseconds(get(all[i].tally)) }))
	}
	p50, p99 := func(t tally) time.Duration { return t.P50 }, func(t tally) time.Duration { return t.P99 }
	ratio := spread(pick(used, func(i int) float64 { return float64(failing[i].P99) / float64(max(calm[i].P99, 1)) }))
	fmt.Printf("%v; %d of %d rounds used\n  one fails     p50 %-22s p99 %s\n  none fails    p50 %-22s p99 %s\n  p99 of the others with one that fails ÷ without: %s\n",
		c, len(used), len(calm), of(failing, p50), of(failing, p99), of(calm, p50), of(calm, p99), ratio)
}

func (b *bench) fairOf(ctx context.Context, c cell, template string, fails bool, length time.Duration) (f fair, err error) {
	a, err := b.open(ctx, contenderBridge, c, template)
	defer func() { err = errors.Join(err, a.stop()) }()
	if err != nil {
		return f, err
	}
	published, err := a.publishSteadily(ctx, 0, time.Second, fairConversations)
	if err != nil {
		return f, err
	}
	if _, _, err := a.await(ctx, int64(published), startTime); err != nil {
		return f, err
	}
	what := "reset?apart=1"
	if fails {
		what += "&fail=1"
	}
	if status, _, err := ask(ctx, http.MethodPost, a.api+what); err != nil || status != http.StatusOK {
		return f, fmt.Errorf("reset: status %d: %w", status, err)
	}
	_, begun, err := a.await(ctx, 0, startTime)
	if err != nil {
		return f, err
	}
	all, err := a.publishSteadily(ctx, published, length, fairConversations)
	if err != nil {
		return f, err
	}
	done := all
	if fails { // the first conversation has one of so many
		done -= (all+fairConversations-1)/fairConversations - (published+fairConversations-1)/fairConversations
	}
	_, ended, err := a.await(ctx, int64(done), startTime)
	if err != nil {
		return f, err
	}
	if f.tally, err = askTally(ctx, a.api, "?ages"); err != nil {
		return f, err
	}
	if f.Done != int64(done) {
		return f, fmt.Errorf("%d commands were to be carried out and %d were", done, f.Done)
	}
	used := ended.cpu.minus(begun.cpu)
	f.foreign = ended.machine.foreign(begun.machine, used.both()+ended.stub-begun.stub)
	return f, a.check(ctx)
}
