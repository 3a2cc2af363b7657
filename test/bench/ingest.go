package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/cxbridge/cxbridge/subjects"
)

// intake is a contender that takes webhooks, with the count of what it was sent.
type intake struct {
	*contender
	next  atomic.Int64
	taken int64 // answers 200, of all loads
	wrong int64
}

// sample is one measurement of taking webhooks.
type sample struct {
	rate     float64 // events a second
	p50, p99 float64 // milliseconds
	program  float64 // CPU microseconds for an event
	bus      float64
	load     float64 // of the load itself, a constant job
	foreign  float64 // share of the machine that others took
}

func (s sample) cpu() float64 { return s.program + s.bus }

// intakes starts the floor and the bridge.
func (b *bench) intakes(ctx context.Context) ([]*intake, error) {
	var all []*intake
	for _, name := range []string{contenderFloor, contenderBridge} {
		c := &contender{name: name}
		all = append(all, &intake{contender: c})
		var err error
		if c.bus, err = b.startBus(ctx, b.newDir("nats"), b.lazySync); err == nil {
			err = c.bus.makeStreams(ctx)
		}
		if err == nil && name == contenderBridge {
			c.program, c.address, err = b.startBridge(ctx, c.bus, "http://127.0.0.1:9/", 64)
		} else if err == nil {
			env := []string{envURL + "=" + c.bus.url}
			if b.signed {
				env = append(env, envSecret+"=1")
			}
			c.program, c.address, err = startRole(ctx, roleIngest, env...)
		}
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

func stopAll(all []*intake) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.stop())
	}
	return errors.Join(errs...)
}

// ingest compares the taking of webhooks at several numbers of connections.
func ingest(ctx context.Context, b *bench) (err error) {
	all, err := b.intakes(ctx)
	defer func() { err = errors.Join(err, stopAll(all)) }()
	if err != nil {
		return err
	}
	connections := []int{1, 16, 64, 256}
	samples := map[int]map[string][]sample{}
	rounds, length := or(b.rounds, 4), or(b.length, 1500*time.Millisecond)
	for round := range rounds {
		for _, n := range connections {
			if samples[n] == nil {
				samples[n] = map[string][]sample{}
			}
			for _, c := range sideBySide(all, round) {
				s, err := b.sample(ctx, c, n, length)
				if err != nil {
					return fmt.Errorf("%s at %d connections: %w", c.name, n, err)
				}
				samples[n][c.name] = append(samples[n][c.name], s)
			}
		}
	}
	b.describe(rounds, length)
	printIngest("connections", connections, samples)
	return verify(ctx, all)
}

func (b *bench) describe(rounds int, length time.Duration) {
	sync, signatures := "synced one by one", "off"
	if b.lazySync {
		sync = "synced every two minutes"
	}
	if b.signed {
		signatures = "checked by both"
	}
	fmt.Printf("%d rounds of %v each; messages %s; signatures %s; CPU is program + nats-server, µs an event; × is bridge ÷ floor, median (range)\n",
		rounds, length, sync, signatures)
}

// sample puts load on a contender and measures.
func (b *bench) sample(ctx context.Context, c *intake, connections int, length time.Duration) (s sample, err error) {
	l, err := b.newLoad(ctx, c.address, connections, &c.next)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	warm, err := l.run(ctx, 300*time.Millisecond)
	c.taken, c.wrong = c.taken+warm.taken, c.wrong+warm.wrong
	if err != nil {
		return s, err
	}
	before, own, err1 := c.look()
	got, err2 := l.run(ctx, length)
	after, ownAfter, err3 := c.look()
	c.taken, c.wrong = c.taken+got.taken, c.wrong+got.wrong
	used, self := after.cpu.minus(before.cpu), ownAfter-own
	return sample{
		rate: float64(got.taken) / got.length.Seconds(), p50: milliseconds(quantile(got.took, 0.5)), p99: milliseconds(quantile(got.took, 0.99)),
		program: perOne(used.program, got.taken), bus: perOne(used.bus, got.taken), load: perOne(self, got.taken),
		foreign: after.machine.foreign(before.machine, used.both()+self),
	}, errors.Join(err1, err2, err3)
}

// view is what is seen of a contender and of the machine at one moment.
type view struct {
	cpu     usage
	machine machine
}

// look also returns the CPU time of the bench itself.
func (c *contender) look() (view, time.Duration, error) {
	cpu, err1 := c.cpu()
	m, err2 := lookAtMachine()
	var own syscall.Rusage
	err3 := syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	return view{cpu, m}, time.Duration(own.Utime.Nano() + own.Stime.Nano()), errors.Join(err1, err2, err3)
}

func printIngest(what string, cells []int, samples map[int]map[string][]sample) {
	fmt.Printf("%11s  %-15s  %-19s  %-19s  %-22s  %-22s  %-22s  %s\n", what, "events/s", "p50 / p99 ms", "floor's", "× CPU", "× p50", "× p99", "others' share, rounds used")
	for _, n := range cells {
		floor, bridge := samples[n][contenderFloor], samples[n][contenderBridge]
		used := quiet(len(bridge), func(i int) float64 { return max(floor[i].foreign, bridge[i].foreign) })
		of := func(all []sample, get func(sample) float64) float64 {
			return median(pick(used, func(i int) float64 { return get(all[i]) }))
		}
		ratio := func(get func(sample) float64) string {
			return spread(pick(used, func(i int) float64 { return get(bridge[i]) / get(floor[i]) }))
		}
		rate, p50, p99 := func(s sample) float64 { return s.rate }, func(s sample) float64 { return s.p50 }, func(s sample) float64 { return s.p99 }
		fmt.Printf("%11d  %6.0f (%6.0f)  %6.2f / %-7.2f     %6.2f / %-7.2f     %-22s  %-22s  %-22s  %.0f %%, %d of %d\n", n,
			of(bridge, rate), of(floor, rate), of(bridge, p50), of(bridge, p99), of(floor, p50), of(floor, p99), ratio(sample.cpu), ratio(p50), ratio(p99),
			100*of(bridge, func(s sample) float64 { return s.foreign }), len(used), len(bridge))
		fmt.Printf("%11s  CPU µs an event: bridge %.0f + %.0f, floor %.0f + %.0f; load %.0f beside the bridge, %.0f beside the floor\n", "",
			of(bridge, func(s sample) float64 { return s.program }), of(bridge, func(s sample) float64 { return s.bus }),
			of(floor, func(s sample) float64 { return s.program }), of(floor, func(s sample) float64 { return s.bus }),
			of(bridge, func(s sample) float64 { return s.load }), of(floor, func(s sample) float64 { return s.load }))
	}
}

// verify compares what the streams hold with what was answered 200, and prints the memory.
func verify(ctx context.Context, all []*intake) error {
	n, err := subjects.New(subjects.DefaultPrefix)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		stored, err := c.bus.stored(ctx, n.EventsStream())
		program, err1 := c.program.peak()
		server, err2 := c.bus.server.peak()
		if err := errors.Join(err, err1, err2); err != nil {
			return err
		}
		fmt.Printf("%-7s %d answers 200, %d others, %d events in the stream; most memory %.0f MB, its nats-server %.0f MB\n",
			c.name, c.taken, c.wrong, stored, megabytes(program), megabytes(server))
		if stored != c.taken {
			errs = append(errs, fmt.Errorf("%s: %d events were answered 200 and %d are in the stream", c.name, c.taken, stored))
		}
	}
	return errors.Join(errs...)
}
