package bridge

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	surveyFresh = 3 * time.Second        // how old the figures may be that somebody else has to be asked for
	surveyLimit = 3 * time.Second        // for asking
	surveyWait  = 500 * time.Millisecond // that a scrape waits for new ones; after that it is told the former ones
)

// survey reads what somebody else has to be asked for, such as the sizes of streams, when a scrape wants it, and never more often than every few
// seconds. A scrape does not wait for a bus that does not answer.
type survey struct {
	read func(context.Context)
	ask  chan chan struct{}
	last time.Time // of run
}

func newSurvey(read func(context.Context)) *survey {
	return &survey{read: read, ask: make(chan chan struct{})}
}

// run reads whenever it is asked to and the former figures are not fresh any more, until ctx ends.
func (s *survey) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case done := <-s.ask:
			if time.Since(s.last) >= surveyFresh {
				limit, cancel := context.WithTimeout(ctx, surveyLimit)
				s.read(limit)
				cancel()
				s.last = time.Now()
			}
			close(done)
		}
	}
}

// before lets each request of next find figures that are fresh, if they can be had soon.
func (s *survey) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.refresh(r.Context())
		next.ServeHTTP(w, r)
	})
}

func (s *survey) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, surveyWait)
	defer cancel()
	done := make(chan struct{})
	select {
	case s.ask <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// known is what the latest proof of readiness came to.
type known struct {
	faults atomic.Pointer[[]Fault] // nil before the first
}

// readFigures asks everybody for their figures.
func (p *process) readFigures(ctx context.Context) {
	var wait sync.WaitGroup
	wait.Go(func() {
		faults := p.operator.ready.prove(ctx, surveyFresh)
		p.proven.faults.Store(&faults)
	})
	wait.Go(func() {
		err := p.broker.ReadFigures(ctx)
		if e := p.elected.Load(); e != nil {
			err = errors.Join(err, e.runner.ReadBacklog(ctx))
		}
		if err != nil {
			p.log.Debug("some figures could not be read", "error", err)
		}
	})
	wait.Wait()
}
