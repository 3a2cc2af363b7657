package spool

import (
	"context"
	"time"
)

// mendEvery is how often a spool whose disk failed is tried again.
const mendEvery = time.Second

// suspect looks whether the engine has failed after an operation did not succeed, and if so begins to mend it.
func (s *Spool) suspect(current *engine, cause error) {
	failure := current.failure()
	if failure == nil && !current.conn.IsClosed() {
		return
	}
	if failure == nil {
		failure = cause
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine != current || s.ended {
		return
	}
	s.engine, s.broken = nil, failure
	s.log.Error("the spool cannot be written to; trying again", "dir", s.config.Dir, "error", failure)
	s.mends.Add(1)
	go s.mend(current)
}

// mend starts the engine again until that succeeds or the spool is closed.
func (s *Spool) mend(old *engine) {
	defer s.mends.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := old.stop(context.WithoutCancel(ctx)); err != nil {
		s.log.Warn("stopping the failed spool", "error", err)
	}
	for ctx.Err() == nil {
		opened, stats, err := s.start(ctx)
		if err == nil && s.install(opened, stats) {
			return
		}
		if err != nil {
			s.mu.Lock()
			s.broken = err
			s.mu.Unlock()
		}
		select {
		case <-time.After(mendEvery):
		case <-ctx.Done():
		}
	}
}

// install puts a new engine to work. It reports false when the spool was closed meanwhile; the engine is then stopped.
func (s *Spool) install(opened *engine, stats Stats) bool {
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.engine, s.broken, s.stats = opened, nil, stats
	}
	s.mu.Unlock()
	if !ended {
		s.log.Info("the spool works again", "dir", s.config.Dir, "messages", stats.Messages)
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := opened.stop(ctx); err != nil {
		s.log.Warn("stopping the spool", "error", err)
	}
	return false
}
