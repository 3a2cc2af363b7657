package bridge

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// stage is a set of tasks that run together and are stopped together.
type stage struct {
	name   string
	ctx    context.Context // ends when the stage is stopped
	end    context.CancelFunc
	failed func(error) // told of a task that ended before it was asked to

	mu      sync.Mutex
	stopped bool
	running map[string]struct{}
	errs    []error
	wait    sync.WaitGroup
}

// newStage makes a stage that lasts until it is stopped, whatever happens to ctx.
func newStage(ctx context.Context, name string, failed func(error)) *stage {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	return &stage{name: name, ctx: own, end: end, failed: failed, running: map[string]struct{}{}}
}

// run starts a task, unless the stage is stopped already. The task is to return when the stage ends; an error before that stops the whole
// bridge.
func (s *stage) run(name string, task func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.running[name] = struct{}{}
	s.wait.Go(func() {
		err := task(s.ctx)
		s.mu.Lock()
		delete(s.running, name)
		ended := s.ctx.Err() != nil
		if ended && errors.Is(err, context.Canceled) {
			err = nil
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", name, err)
		}
		if err != nil && ended {
			s.errs = append(s.errs, err)
		}
		s.mu.Unlock()
		if err != nil && !ended {
			s.failed(err)
		}
	})
}

// stop ends the tasks and waits for them until ctx ends. It returns what went wrong while stopping.
func (s *stage) stop(ctx context.Context) error {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.end()
	done := make(chan struct{})
	go func() { s.wait.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	errs := s.errs
	for name := range s.running {
		errs = append(errs, fmt.Errorf("%s: did not stop in time", name))
	}
	return errors.Join(errs...)
}

// cleanups undo what was opened, the last first.
type cleanups struct{ all []cleanup }

type cleanup struct {
	name string
	run  func(context.Context) error
}

func (c *cleanups) add(name string, run func(context.Context) error) {
	c.all = append(c.all, cleanup{name, run})
}

// cleanupLimit is how long each cleanup may take.
const cleanupLimit = 30 * time.Second

// run undoes everything, whatever fails on the way.
func (c *cleanups) run() error {
	var errs []error
	for i := len(c.all) - 1; i >= 0; i-- {
		ctx, cancel := context.WithTimeout(context.Background(), cleanupLimit)
		if err := c.all[i].run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.all[i].name, err))
		}
		cancel()
	}
	c.all = nil
	return errors.Join(errs...)
}
