package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	ageRate          = 200 // commands a second
	ageConversations = 1000
)

// age compares the time from the publishing of a command to its API call, at a steady rate and with nothing else waiting.
func age(ctx context.Context, b *bench) error {
	cells, err := cellsOf(b.cells, []string{"20ms/256"})
	if err != nil {
		return err
	}
	rounds, length := or(b.rounds, 3), or(b.length, 5*time.Second)
	template, err := b.prepare(ctx, 0, 1)
	if err != nil {
		return err
	}
	fmt.Printf("%d commands a second; %d rounds of %v each; milliseconds from the publishing to the call, p50 / p99\n", ageRate, rounds, length)
	for _, c := range cells {
		all := map[string][]tally{}
		for round := range rounds {
			for _, name := range sideBySide([]string{contenderFloor, contenderLedger, contenderBridge}, round) {
				t, err := b.ageOf(ctx, name, c, template, length)
				if err != nil {
					return fmt.Errorf("%s at %v: %w", name, c, err)
				}
				all[name] = append(all[name], t)
			}
		}
		printAges(c, all)
	}
	return nil
}

func printAges(c cell, all map[string][]tally) {
	of := func(name string, get func(tally) time.Duration) (values []float64) {
		for _, t := range all[name] {
			values = append(values, milliseconds(get(t)))
		}
		return values
	}
	p50, p99 := func(t tally) time.Duration { return t.P50 }, func(t tally) time.Duration { return t.P99 }
	fmt.Println(c)
	for _, name := range []string{contenderBridge, contenderFloor, contenderLedger} {
		fmt.Printf("  %-13s p50 %-22s p99 %-22s", name, spread(of(name, p50)), spread(of(name, p99)))
		if name != contenderBridge {
			var later, ratio []float64
			for i, bridge := range all[contenderBridge] {
				later = append(later, milliseconds(bridge.P50-all[name][i].P50))
				ratio = append(ratio, float64(bridge.P99)/float64(max(all[name][i].P99, 1)))
			}
			fmt.Printf("  the bridge's p50 is later by %s ms; p99 × %s", spread(later), spread(ratio))
		}
		fmt.Println()
	}
}

// ageOf publishes commands at a steady rate and returns what the API saw.
func (b *bench) ageOf(ctx context.Context, name string, c cell, template string, length time.Duration) (t tally, err error) {
	a, err := b.open(ctx, name, c, template)
	defer func() { err = errors.Join(err, a.stop()) }()
	if err != nil {
		return t, err
	}
	published, err := a.publishSteadily(ctx, 0, time.Second, ageConversations)
	if err != nil {
		return t, err
	}
	if _, _, err := a.await(ctx, int64(published), startTime); err != nil {
		return t, err
	}
	if status, _, err := ask(ctx, http.MethodPost, a.api+"reset"); err != nil || status != http.StatusOK {
		return t, fmt.Errorf("reset: status %d: %w", status, err)
	}
	published, err = a.publishSteadily(ctx, published, length, ageConversations)
	if err != nil {
		return t, err
	}
	if _, _, err := a.await(ctx, int64(published), startTime); err != nil {
		return t, err
	}
	if t, err = askTally(ctx, a.api, "?ages"); err != nil {
		return t, err
	}
	if t.Done != int64(published) {
		return t, fmt.Errorf("%d commands were published and %d carried out", published, t.Done)
	}
	return t, a.check(ctx)
}

// publishSteadily publishes for a while, after so many that were published before, and returns how many they are altogether.
func (a *arena) publishSteadily(ctx context.Context, before int, length time.Duration, conversations int) (int, error) {
	n := before
	began := time.Now()
	for next := began; next.Before(began.Add(length)); next = next.Add(time.Second / ageRate) {
		pause(ctx, time.Until(next))
		if _, err := a.bus.js.PublishMsgAsync(commandMessage(n%conversations+1, n/conversations+1)); err != nil {
			return n, err
		}
		n++
	}
	select {
	case <-a.bus.js.PublishAsyncComplete():
		return n, ctx.Err()
	case <-ctx.Done():
		return n, ctx.Err()
	}
}
