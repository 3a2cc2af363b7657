package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"time"

	"github.com/cxbridge/cxbridge/cxapi/cxsim"
)

const (
	maxInFlight = 48                     // calls of a bridge at once, unless others are asked for; it claims an eighth more while calls end
	crowdLag    = 300 * time.Millisecond // each way between bridge and API, so that calls are under way at any moment
	crowdSize   = 2 * maxInFlight        // conversations
	crowdEach   = 4                      // commands of each: some seconds of work
	unheard     = time.Second            // that a woken bridge hears nothing of the bus
)

// crowd is many conversations that have commands all at once, so that more commands wait than calls may be made.
type crowd struct {
	mu            sync.Mutex
	conversations []int64
	written       int // commands of each conversation
}

// crowd publishes commands of all conversations at once, and returns when they are stored.
func (l *load) crowd() error {
	c := &l.many
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := len(c.conversations); n < crowdSize; n++ {
		made, err := l.sim.NewConversation(cxsim.Visitor{Name: "Cy", Email: fmt.Sprintf("cy%d@chaos.test", n), Text: "hi"})
		if err != nil {
			return err
		}
		c.conversations = append(c.conversations, made.ID)
	}
	var all sync.WaitGroup
	for n, conversation := range c.conversations {
		all.Go(func() {
			for i := range crowdEach {
				id := fmt.Sprintf("k%d-%d", 1000+n, c.written+i+1)
				l.publish(l.message(id, conversation, "Hello!"))
				l.note(sent{ID: id, Kind: messageSend, Lane: fmt.Sprintf("conversation %d", conversation)})
			}
		})
	}
	all.Wait()
	c.written += crowdEach
	return nil
}

// freezeBacklog freezes a bridge that has more commands than it may make calls, while calls end: some are claimed then, and wait for one of the
// calls to end. All of them end at the moment of waking, and for another moment only its own clock can tell the bridge that its term is over.
func (s *storm) freezeBacklog(ctx context.Context, i injection) error {
	s.crowded.Lock()
	defer s.crowded.Unlock()
	b := s.awaitActive(ctx)
	lock, bus, api := s.processes[b.name], s.ways["bus "+b.name], s.ways["api "+b.name]
	lock.Lock()
	defer lock.Unlock()
	api.Lock()
	defer api.Unlock()
	b.apiWay(slow, crowdLag)
	defer b.apiWay(open, 0)
	published := make(chan error, 1)
	go func() { published <- s.load.crowd() }()
	b.awaitBacklog(ctx)
	f := freeze{Bridge: b.name, From: time.Now()}
	b.freeze()
	_ = sleep(ctx, i.For)
	s.awaitAnother(ctx, b)
	_ = sleep(ctx, 2*underway) // so that it has begun without doubt
	bus.Lock()
	b.busWay(silent, 0)
	f.Till = time.Now()
	b.thaw()
	_ = sleep(ctx, unheard)
	b.busWay(open, 0)
	bus.Unlock()
	s.mu.Lock()
	s.freezes = append(s.freezes, f)
	s.mu.Unlock()
	return <-published
}

// awaitActive waits until a bridge carries out commands; not for ever.
func (s *storm) awaitActive(ctx context.Context) *bridge {
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for sleep(limit, 200*time.Millisecond) == nil {
		for _, b := range s.bridges {
			if b.active(limit) {
				return b
			}
		}
	}
	return s.target(ctx, active)
}

// inFlight finds how many calls are permitted or under way, of which those above max_in_flight wait.
var inFlight = regexp.MustCompile(`\ncxbridge_api_calls_in_flight ([0-9.e+]+)\n`)

// awaitBacklog waits until a bridge has claims beside its calls: those of the beginning are calls by the second look. It does not wait for ever, as
// the bridge may not be the one at work, or its API be in trouble.
func (b *bridge) awaitBacklog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	b.awaitFull(ctx)
	_ = sleep(ctx, 3*crowdLag)
	b.awaitFull(ctx)
}

// awaitFull waits until a bridge has all the permits for calls that it gives.
func (b *bridge) awaitFull(ctx context.Context) {
	for sleep(ctx, 50*time.Millisecond) == nil {
		_, page := b.ask(ctx, "/metrics")
		found := inFlight.FindStringSubmatch(page)
		if found == nil {
			continue
		}
		if n, err := strconv.ParseFloat(found[1], 64); err == nil && n >= float64(b.calls+b.calls/8) {
			return
		}
	}
}
