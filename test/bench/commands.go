package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// cell is what is varied: how long the API takes and how many calls there may be at once.
type cell struct {
	latency  time.Duration
	inFlight int
}

func (c cell) String() string { return fmt.Sprintf("%v/%d", c.latency, c.inFlight) }

// cellsOf reads cells such as 20ms/64; "all" is the whole matrix.
func cellsOf(texts, standard []string) (all []cell, err error) {
	if len(texts) == 0 {
		texts = standard
	}
	if slices.Equal(texts, []string{"all"}) {
		texts = strings.Fields("0ms/64 0ms/256 0ms/1024 20ms/64 20ms/256 20ms/1024 100ms/64 100ms/256 100ms/1024")
	}
	for _, text := range texts {
		latency, inFlight, _ := strings.Cut(text, "/")
		var c cell
		var err1, err2 error
		c.latency, err1 = time.ParseDuration(latency)
		c.inFlight, err2 = strconv.Atoi(inFlight)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("CELLS: %q is not like 20ms/64: %w", text, err)
		}
		all = append(all, c)
	}
	return all, nil
}

// drained is one measurement of carrying out commands.
type drained struct {
	rate         float64 // commands a second
	program, bus float64 // CPU microseconds for a command
	memory       float64 // most, in MB, of the program
	foreign      float64
}

func (d drained) cpu() float64 { return d.program + d.bus }

// prepare makes a store with a backlog of commands in it, to be copied for each measurement.
func (b *bench) prepare(ctx context.Context, count, conversations int) (string, error) {
	template := b.newDir("backlog")
	bus, err := b.startBus(ctx, template, true)
	if err != nil {
		return "", err
	}
	err = bus.makeStreams(ctx)
	if err == nil {
		err = bus.publish(count, func(i int) *nats.Msg { return commandMessage(i%conversations+1, i/conversations+1) })
	}
	return template, errors.Join(err, bus.stop())
}

// commandMessage is a command as the stub understands it.
func commandMessage(conversation, number int) *nats.Msg {
	return &nats.Msg{
		Subject: subjects.DefaultPrefix + ".cmd." + string(subjects.MessageSend),
		Header:  nats.Header{nats.MsgIdHdr: {fmt.Sprintf("bench-%d-%d", conversation, number)}},
		Data: fmt.Appendf(nil, `{"conversation_id":%d,"content":"%d %d %d Thank you for your patience! Your order is on its way and should arrive tomorrow before noon."}`,
			conversation, conversation, number, time.Now().UnixNano()),
	}
}

// commands compares the carrying out of commands from a backlog.
func commands(ctx context.Context, b *bench) error {
	cells, err := cellsOf(b.cells, []string{"20ms/64", "20ms/1024"})
	if err != nil {
		return err
	}
	count, conversations, rounds, length := or(b.count, 20000), or(b.conversations, 1000), or(b.rounds, 3), or(b.length, 3*time.Second)
	template, err := b.prepare(ctx, count, conversations)
	if err != nil {
		return err
	}
	fmt.Printf("%d commands of %d conversations; %d rounds of at most %v each; 1 %% answered 503 once; CPU is program + nats-server, µs a command\n",
		count, conversations, rounds, length)
	for _, c := range cells {
		all := map[string][]drained{}
		for round := range rounds {
			for _, name := range sideBySide([]string{contenderFloor, contenderLedger, contenderBridge}, round) {
				d, err := b.drain(ctx, name, c, template, count, length)
				if err != nil {
					return fmt.Errorf("%s at %v: %w", name, c, err)
				}
				all[name] = append(all[name], d)
			}
		}
		printCommands(c, all)
	}
	return nil
}

func printCommands(c cell, all map[string][]drained) {
	bridge := all[contenderBridge]
	used := quiet(len(bridge), func(i int) float64 {
		return max(bridge[i].foreign, all[contenderFloor][i].foreign, all[contenderLedger][i].foreign)
	})
	rate := func(d drained) float64 { return d.rate }
	fmt.Printf("%v", c)
	if c.latency > 0 {
		bound := float64(c.inFlight) / c.latency.Seconds()
		fmt.Printf(": in flight ÷ latency %.0f/s, the bridge reaches %s of it", bound, spread(pick(used, func(i int) float64 { return bridge[i].rate / bound })))
	}
	fmt.Printf("; others' share %.0f %%, %d of %d rounds used\n", 100*median(pick(used, func(i int) float64 { return bridge[i].foreign })), len(used), len(bridge))
	for _, name := range []string{contenderBridge, contenderFloor, contenderLedger} {
		of := func(get func(drained) float64) float64 {
			return median(pick(used, func(i int) float64 { return get(all[name][i]) }))
		}
		fmt.Printf("  %-13s %6.0f/s  CPU %4.0f + %4.0f  memory %4.0f MB", name, of(rate), of(func(d drained) float64 { return d.program }),
			of(func(d drained) float64 { return d.bus }), of(func(d drained) float64 { return d.memory }))
		if name != contenderBridge {
			fmt.Printf("   bridge ÷ %s: rate %s, CPU %s", name, spread(pick(used, func(i int) float64 { return bridge[i].rate / all[name][i].rate })),
				spread(pick(used, func(i int) float64 { return bridge[i].cpu() / all[name][i].cpu() })))
		}
		fmt.Println()
	}
}

// arena is a contender that carries out commands, with its bus and its API.
type arena struct {
	*contender
	stub *process
	api  string
}

func (a *arena) stop() error { return errors.Join(a.contender.stop(), a.stub.stop()) }

// open starts a contender on a copy of a store.
func (b *bench) open(ctx context.Context, name string, c cell, template string) (a *arena, err error) {
	a = &arena{contender: &contender{name: name}}
	store := b.newDir("nats")
	if err := os.CopyFS(store, os.DirFS(template)); err != nil {
		return a, err
	}
	if a.bus, err = b.startBus(ctx, store, b.lazySync); err != nil {
		return a, err
	}
	if a.stub, a.api, err = startRole(ctx, roleStub, envLatency+"="+c.latency.String()); err != nil {
		return a, err
	}
	if name == contenderBridge {
		a.program, _, err = b.startBridge(ctx, a.bus, a.api, c.inFlight)
		return a, err
	}
	env := []string{envURL + "=" + a.bus.url, envAPI + "=" + a.api, envInFlight + "=" + strconv.Itoa(c.inFlight)}
	if name == contenderLedger {
		env = append(env, envLedger+"=1")
	}
	a.program, _, err = startRole(ctx, roleCommands, env...)
	return a, err
}

// drain lets a contender work on the backlog and measures between its first 5 % and its last 5 %, or until the time is over.
func (b *bench) drain(ctx context.Context, name string, c cell, template string, count int, length time.Duration) (d drained, err error) {
	a, err := b.open(ctx, name, c, template)
	defer func() { err = errors.Join(err, a.stop()) }()
	if err != nil {
		return d, err
	}
	first, begun, err := a.await(ctx, int64(count/20), 3*startTime)
	if err != nil {
		return d, err
	}
	last, ended, err := a.await(ctx, int64(count-count/20), length)
	if err != nil {
		return d, err
	}
	memory, err := a.program.peak()
	if err != nil {
		return d, err
	}
	n, used := last.Done-first.Done, ended.cpu.minus(begun.cpu)
	stub := ended.stub - begun.stub
	d = drained{
		rate: float64(n) / ended.machine.at.Sub(begun.machine.at).Seconds(), program: perOne(used.program, n), bus: perOne(used.bus, n),
		memory: megabytes(memory), foreign: ended.machine.foreign(begun.machine, used.both()+stub),
	}
	if n == 0 {
		return d, errors.New("nothing was done")
	}
	return d, a.check(ctx)
}

// moment is what is seen when so many commands were done.
type moment struct {
	view
	stub time.Duration
}

// await waits until so many commands are done, at most for so long.
func (a *arena) await(ctx context.Context, done int64, most time.Duration) (t tally, m moment, err error) {
	ctx, cancel := context.WithTimeout(ctx, startTime+most)
	defer cancel()
	for until := time.Now().Add(most); ; pause(ctx, 5*time.Millisecond) {
		if t, err = askTally(ctx, a.api, ""); err != nil {
			return t, m, err
		}
		if t.Done >= done || time.Now().After(until) {
			break
		}
		if err := a.program.running(); err != nil {
			return t, m, err
		}
	}
	stub, err1 := a.stub.cpu()
	v, _, err2 := a.look()
	var own syscall.Rusage
	err3 := syscall.Getrusage(syscall.RUSAGE_SELF, &own)
	return t, moment{v, stub + time.Duration(own.Utime.Nano()+own.Stime.Nano())}, errors.Join(err1, err2, err3)
}

// check stops the contender softly and compares what it answered with what the API did.
func (a *arena) check(ctx context.Context) error {
	if err := a.program.stop(); err != nil {
		return err
	}
	t, err := askTally(ctx, a.api, "")
	if err != nil {
		return err
	}
	n, _, err := names()
	if err != nil {
		return err
	}
	results, err := a.bus.stored(ctx, n.ResultsStream())
	switch {
	case err != nil:
		return err
	case t.Again > 0:
		return fmt.Errorf("%d commands were carried out twice", t.Again)
	case a.name == contenderBridge && t.Disorder > 0:
		return fmt.Errorf("%d commands were carried out before an earlier one of their conversation", t.Disorder)
	case a.name != contenderFloor && results != t.Done:
		return fmt.Errorf("%d commands were carried out and %d have a result", t.Done, results)
	}
	return nil
}
