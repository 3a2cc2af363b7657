// Command chaos lets a storm blow over two bridges, a cluster of three nats-servers and the simulated CX, all on loopback, and proves from what
// is left that the promises held. What happens is chosen by a seed, so that a run can be had again.
//
//	go run ./test/chaos -seed 7 -for 10m    one run
//	go run ./test/chaos -seeds 1-20 -for 3m one after the other
//	go run ./test/chaos -broken             builds that are broken on purpose, each of which must be caught
//
// DESIGN.md beside this file has the rules, by name, and what a storm does. It needs Linux, and Go to build the bridge.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	seed     uint64
	seeds    string
	length   time.Duration
	patience time.Duration
	rate     float64
	binary   string
	older    string
	broken   bool
	only     string
	kinds    string
	calls    int
	keep     bool
	quiet    bool
}

func main() {
	if os.Getenv(envPort) != "" {
		exit(serveNATS())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, os.Args[1:]))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "of the plan; by default another one each time")
	flags.StringVar(&o.seeds, "seeds", "", "several seeds, as in 1-20 or 1,5,9")
	flags.DurationVar(&o.length, "for", 10*time.Minute, "how long each storm blows")
	flags.DurationVar(&o.patience, "patience", 5*time.Minute, "how long to wait afterwards until everything is answered")
	flags.Float64Var(&o.rate, "rate", 40, "commands a second; half as many messages of customers come in")
	flags.StringVar(&o.binary, "binary", "", "the bridge; by default it is built from this source")
	flags.StringVar(&o.older, "older", "", "a commit whose bridge is the second one")
	flags.BoolVar(&o.broken, "broken", false, "build bridges that are broken on purpose, and demand that each is caught")
	flags.StringVar(&o.only, "only", "", "with -broken: only those whose name has this text")
	flags.StringVar(&o.kinds, "kinds", "", "trouble of these kinds only, one after the other, as in freeze-backlog,kill-bridge; by default of all, and several at a time")
	flags.IntVar(&o.calls, "calls", maxInFlight, "how many calls each bridge may make at once")
	flags.BoolVar(&o.keep, "keep", false, "keep logs and history also when all rules hold")
	flags.BoolVar(&o.quiet, "quiet", false, "do not print the plan")
	return o, flags.Parse(args)
}

func run(ctx context.Context, args []string) (err error) {
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	seeds, err := o.list()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cxbridge-chaos-build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.broken {
		return breakAll(ctx, o, seeds, dir)
	}
	binaries, err := o.build(ctx, dir)
	if err != nil {
		return err
	}
	var failed []string
	for _, seed := range seeds {
		err := (&one{options: o, seed: seed}).run(ctx, binaries)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			fmt.Printf("  seed %d: %v\n", seed, err)
			failed = append(failed, fmt.Sprint(seed))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d storms failed, with the seeds %s", len(failed), len(seeds), strings.Join(failed, ", "))
	}
	fmt.Printf("\n%d storms of %s without a broken rule\n", len(seeds), o.length)
	return nil
}

// chosen returns the kinds that are asked for; none means all.
func (o options) chosen() (chosen []kind, err error) {
	for name := range strings.FieldsFuncSeq(o.kinds, func(r rune) bool { return r == ',' }) {
		if !slices.Contains(kinds(), kind(name)) {
			return nil, fmt.Errorf("-kinds %s: there is no %s among %v", o.kinds, name, kinds())
		}
		chosen = append(chosen, kind(name))
	}
	return chosen, nil
}

// list returns the seeds that are asked for.
func (o options) list() (seeds []uint64, err error) {
	if o.seeds == "" {
		return []uint64{o.seed}, nil
	}
	for part := range strings.SplitSeq(o.seeds, ",") {
		from, to, several := strings.Cut(part, "-")
		if !several {
			to = from
		}
		first, err1 := strconv.ParseUint(from, 10, 32)
		last, err2 := strconv.ParseUint(to, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("-seeds %s: %w", o.seeds, err)
		}
		for seed := first; seed <= last; seed++ {
			seeds = append(seeds, seed)
		}
	}
	return seeds, nil
}
