package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// consoleConnections is over how many connections the burst comes.
const consoleConnections = 64

// console compares a bridge whose console somebody watches with one that nobody watches, while a burst of events comes in.
func console(ctx context.Context, b *bench) (err error) {
	burst, length := int64(or(b.count, 100_000)), or(b.length, 1500*time.Millisecond)
	all, err := b.twins(ctx)
	defer func() { err = errors.Join(err, stopAll(all)) }()
	if err != nil {
		return err
	}
	alone, watched := all[0], all[1]
	var ratios, calm []float64
	var told seen
	for round := 0; min(alone.taken, watched.taken) < burst; round++ {
		samples := map[string]sample{}
		for _, c := range sideBySide(all, round) {
			var s sample
			if c == watched {
				s, err = b.watchedSample(ctx, c, length, &told)
			} else {
				s, err = b.sample(ctx, c, consoleConnections, length)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			samples[c.name] = s
		}
		ratio := samples[watched.name].p99 / samples[alone.name].p99
		ratios = append(ratios, ratio)
		if others := max(samples[watched.name].foreign, samples[alone.name].foreign); others <= noisy {
			calm = append(calm, ratio)
		}
	}
	fmt.Printf("bursts of %d events over %d connections, in turns of %v; p99 of receipt, watched ÷ not watched: %s; in the %d calm of %d rounds: %s\n",
		burst, consoleConnections, length, spread(ratios), len(calm), len(ratios), spread(calm))
	fmt.Printf("the page was told of %d events, and shown %d, in %d looks\n", told.counted, told.rows, told.looks)
	most, err1 := alone.program.peak()
	mostWatched, err2 := watched.program.peak()
	fmt.Printf("most memory: %.1f MB watched, %.1f MB not watched: %+.1f MB\n", megabytes(mostWatched), megabytes(most), megabytes(mostWatched-most))
	return errors.Join(err1, err2, verify(ctx, all))
}

// twins starts two bridges, each with a nats-server of its own.
func (b *bench) twins(ctx context.Context) ([]*intake, error) {
	var all []*intake
	for range 2 {
		c := &contender{name: contenderBridge}
		all = append(all, &intake{contender: c})
		var err error
		if c.bus, err = b.startBus(ctx, b.newDir("nats"), b.lazySync); err == nil {
			err = c.bus.makeStreams(ctx)
		}
		if err == nil {
			c.program, c.address, err = b.startBridge(ctx, c.bus, "http://127.0.0.1:9/", 64)
		}
		if err != nil {
			return all, err
		}
	}
	all[1].name = "watched"
	return all, nil
}

// seen is what the console was told.
type seen struct{ looks, counted, rows int64 }

// watchedSample measures while the console is open.
func (b *bench) watchedSample(ctx context.Context, c *intake, length time.Duration, told *seen) (s sample, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	open := make(chan struct{})
	var watching sync.WaitGroup
	var watchErr error
	watching.Go(func() { watchErr = watch(ctx, c.program.admin, told, open); cancel() })
	select {
	case <-open:
		s, err = b.sample(ctx, c, consoleConnections, length)
		pause(ctx, time.Second) // the last looks
	case <-ctx.Done():
	}
	cancel()
	watching.Wait()
	return s, errors.Join(watchErr, err)
}

// watch reads what a console is sent until ctx ends, and closes open after the first look.
func watch(ctx context.Context, admin string, told *seen, open chan<- struct{}) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+admin+"/console/events", nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	response, err := client.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines, event, first := bufio.NewScanner(response.Body), "", true
	lines.Buffer(nil, 8<<20)
	for lines.Scan() {
		if name, found := strings.CutPrefix(lines.Text(), "event: "); found {
			event = name
		}
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found || event != "feed" {
			continue
		}
		if err := told.add(data); err != nil {
			return err
		}
		if first {
			first = false
			close(open)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return errors.Join(errors.New("the console was closed"), lines.Err())
}

func (s *seen) add(data string) error {
	var look struct {
		Problem string `json:"problem"`
		Counts  []struct {
			Kind  string `json:"kind"`
			New   int64  `json:"new"`
			Shown int64  `json:"shown"`
		} `json:"counts"`
	}
	if err := json.Unmarshal([]byte(data), &look); err != nil {
		return fmt.Errorf("console: %w", err)
	}
	if look.Problem != "" {
		return errors.New("console: " + look.Problem)
	}
	s.looks++
	for _, c := range look.Counts {
		if c.Kind == "event" {
			s.counted, s.rows = s.counted+c.New, s.rows+min(c.New, c.Shown)
		}
	}
	return nil
}
