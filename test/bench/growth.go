package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// growth compares the taking of webhooks as the stream of events grows.
func growth(ctx context.Context, b *bench) (err error) {
	const connections = 64
	all, err := b.intakes(ctx)
	defer func() { err = errors.Join(err, stopAll(all)) }()
	if err != nil {
		return err
	}
	fill := or(b.fill, 40000)
	sizes := []int{0, fill / 4, fill}
	rounds, length := or(b.rounds, 3), or(b.length, 1500*time.Millisecond)
	samples := map[int]map[string][]sample{}
	for i, size := range sizes {
		samples[size] = map[string][]sample{}
		if i > 0 {
			if err := fillAll(all, size-sizes[i-1]); err != nil {
				return err
			}
		}
		for round := range rounds {
			for _, c := range sideBySide(all, round) {
				s, err := b.sample(ctx, c, connections, length)
				if err != nil {
					return err
				}
				samples[size][c.name] = append(samples[size][c.name], s)
			}
		}
	}
	b.describe(rounds, length)
	fmt.Printf("%d connections; events in the stream beforehand, besides those of the measurements themselves:\n", connections)
	printIngest("events", sizes, samples)
	return verify(ctx, all)
}

// fillAll puts events into the streams past the contenders.
func fillAll(all []*intake, n int) error {
	for _, c := range all {
		body := newRequest(false).bytes
		first := c.next.Add(int64(n)) - int64(n)
		err := c.bus.publish(n, func(i int) *nats.Msg {
			return &nats.Msg{Subject: "cx.message.created", Data: body, Header: nats.Header{nats.MsgIdHdr: {"fill-" + strconv.FormatInt(first+int64(i), 10)}}}
		})
		if err != nil {
			return err
		}
		c.taken += int64(n)
	}
	return nil
}
