package main

import (
	"context"
	"fmt"
	"time"
)

// backlog measures the bridge's memory with very many commands waiting.
func backlog(ctx context.Context, b *bench) error {
	cells, err := cellsOf(b.cells, []string{"20ms/1024"})
	if err != nil {
		return err
	}
	count, conversations, length := or(b.count, 200_000), or(b.conversations, 1000), or(b.length, 10*time.Second)
	template, err := b.prepare(ctx, count, conversations)
	if err != nil {
		return err
	}
	for _, c := range cells {
		// The measurement of a drain begins after 5 % are done; a twentieth of very many is too much to wait for.
		d, err := b.drain(ctx, contenderBridge, c, template, min(count, 40_000), length)
		if err != nil {
			return fmt.Errorf("%v: %w", c, err)
		}
		fmt.Printf("%v, %d commands of %d conversations waiting: most memory of the bridge %.0f MB at %.0f commands/s, CPU %.0f + %.0f µs\n",
			c, count, conversations, d.memory, d.rate, d.program, d.bus)
	}
	return nil
}
