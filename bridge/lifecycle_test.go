package bridge

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCleanupsRunFromTheLastToTheFirstWhateverFails(t *testing.T) {
	var order []string
	var c cleanups
	for _, name := range []string{"first", "second", "third"} {
		c.add(name, func(context.Context) error {
			order = append(order, name)
			return errors.New("broken")
		})
	}
	err := c.run()
	if got := strings.Join(order, " "); got != "third second first" {
		t.Errorf("order = %s", got)
	}
	if err == nil || err.Error() != "third: broken\nsecond: broken\nfirst: broken" {
		t.Errorf("error = %v", err)
	}
	if err := c.run(); err != nil {
		t.Errorf("the second run: %v", err)
	}
}

func TestStageTellsOfATaskThatFails(t *testing.T) {
	failed := make(chan error, 1)
	s := newStage(t.Context(), "stage", func(err error) { failed <- err })
	s.run("task", func(context.Context) error { return errors.New("broken") })
	if err := <-failed; err.Error() != "task: broken" {
		t.Errorf("error = %v", err)
	}
	if err := s.stop(t.Context()); err != nil {
		t.Errorf("stop = %v", err)
	}
}

func TestStageStopsItsTasksAndTellsWhatFailsMeanwhile(t *testing.T) {
	s := newStage(t.Context(), "stage", func(err error) { t.Errorf("failed: %v", err) })
	s.run("quiet", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
	s.run("loud", func(ctx context.Context) error { <-ctx.Done(); return errors.New("broken") })
	if err := s.stop(t.Context()); err == nil || err.Error() != "loud: broken" {
		t.Errorf("stop = %v", err)
	}
}

func TestStageGivesUpOnATaskThatDoesNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t.Context(), "stage", func(err error) { t.Errorf("failed: %v", err) })
		stuck := make(chan struct{})
		s.run("stuck", func(context.Context) error { <-stuck; return nil })
		limit, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := s.stop(limit); err == nil || err.Error() != "stuck: did not stop in time" {
			t.Errorf("stop = %v", err)
		}
		close(stuck)
		synctest.Wait()
	})
}
