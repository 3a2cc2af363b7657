package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/lease"
)

// runner carries out commands for one term of being the active bridge. The end of ctx asks for a soft stop, the end of hard for one at once.
type runner interface {
	Run(ctx, hard context.Context, term command.Term) error
	Status() command.Status
	ReadBacklog(ctx context.Context) error
}

// elected carries out commands whenever this bridge is the active one.
type elected struct {
	lease  *lease.Lease
	runner runner
	grace  time.Duration // of a soft stop
	log    *slog.Logger
	term   atomic.Pointer[lease.Term] // nil while another bridge is active
	latest atomic.Uint64              // epoch of the latest term
}

const (
	firstPause   = 100 * time.Millisecond
	longestPause = 10 * time.Second
	// steadyTerm is how long a term must have lasted for the pause to begin anew.
	steadyTerm = time.Minute
	// releaseLimit bounds the handing over. After it the lease expires by itself.
	releaseLimit = 5 * time.Second
)

// run takes turns with other bridges until ctx ends.
func (e *elected) run(ctx context.Context) error {
	pause := firstPause
	for {
		term, err := e.lease.Acquire(ctx)
		if err != nil {
			return err
		}
		begun := time.Now()
		err = e.serve(ctx, term)
		if ctx.Err() != nil {
			return err
		}
		if time.Since(begun) > steadyTerm {
			pause = firstPause
		}
		if err := sleep(ctx, pause/2+rand.N(pause/2)); err != nil {
			return err
		}
		pause = min(2*pause, longestPause)
	}
}

// serve carries out commands for one term, and then hands over.
func (e *elected) serve(ctx context.Context, term *lease.Term) error {
	e.latest.Store(term.Epoch())
	e.term.Store(term)
	defer e.term.Store(nil)
	hard, cut := outlive(ctx, e.grace)
	defer cut()
	err := e.runner.Run(ctx, hard, term)
	if ctx.Err() == nil && term.Err() == nil { // the end of a term is told by the lease
		e.log.Error("carrying out commands was given up, and begins anew", "epoch", term.Epoch(), "error", err)
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseLimit)
	defer cancel()
	if released := term.Release(limit); released != nil {
		err = errors.Join(err, released)
	}
	return err
}

// working reports why this bridge is neither active nor a standby of one that is.
func (e *elected) working(ctx context.Context) error {
	if e.term.Load() != nil {
		if !e.runner.Status().Active {
			return errors.New("this bridge is becoming the active one")
		}
		return nil
	}
	holder, epoch, err := e.lease.Holder(ctx)
	if err != nil {
		return fmt.Errorf("the active bridge is not known: %w", err)
	}
	if holder == "" {
		return errors.New("no bridge carries out commands at the moment")
	}
	if epoch == e.latest.Load() { // the name of a holder need not be unique, an epoch is
		return errors.New("this bridge has ended its term, and no other bridge has taken over yet")
	}
	return nil
}

// outlive returns a context that ends some time after ctx does.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, end := context.WithCancel(context.WithoutCancel(ctx))
	forget := context.AfterFunc(ctx, func() {
		_ = sleep(longer, by) // either way it is over then
		end()
	})
	return longer, func() { forget(); end() }
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
