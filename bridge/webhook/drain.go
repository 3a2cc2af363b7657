package webhook

import (
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v4"
	"github.com/nats-io/nats.go"

	"github.com/cxbridge/cxbridge/subjects"
)

// Drain takes messages out of the spool, oldest first, and publishes them with the ids that they have, one after the other. It returns nil
// when ctx ends. Without a spool it only waits for that.
func (r *Receiver) Drain(ctx context.Context) error {
	if r.store.spool == nil {
		<-ctx.Done()
		return nil
	}
	pause := drainPause()
	for ctx.Err() == nil {
		err := r.drainOne(ctx)
		if err == nil {
			pause.Reset()
			continue
		}
		r.drainTrouble.Do(err, func() { r.log.Error("the spool cannot be emptied", "error", err) })
		wait(ctx, pause.NextBackOff())
	}
	return nil
}

func drainPause() *backoff.ExponentialBackOff {
	return backoff.NewExponentialBackOff(
		backoff.WithInitialInterval(100*time.Millisecond), backoff.WithMaxInterval(2*time.Second), backoff.WithMaxElapsedTime(0))
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// drainOne moves the oldest message to the bus, however long that takes. It returns early when there is nothing to move while everything
// still goes to the spool, so that the way back to the bus does not depend on a last message.
func (r *Receiver) drainOne(ctx context.Context) error {
	within, cancel := ctx, context.CancelFunc(func() {})
	if r.store.spooling.Load() {
		within, cancel = context.WithTimeout(ctx, time.Second)
	}
	msg, done, err := r.store.spool.Next(within)
	over := within.Err() != nil
	cancel()
	switch {
	case err != nil && over:
		r.store.settle()
		return nil
	case err != nil:
		return err
	}
	if !r.forward(ctx, msg) {
		return nil
	}
	if err := done(); err != nil {
		return err
	}
	r.metrics.left(first(msg.Header[subjects.HeaderReceivedAt]))
	r.drainTrouble.Done()
	r.store.settle()
	return nil
}

// forward publishes a message from the spool and reports whether it did; it gives up only when ctx ends.
func (r *Receiver) forward(ctx context.Context, msg *nats.Msg) bool {
	for name := range msg.Header {
		if subjects.OwnedByNATS(name) && name != subjects.HeaderMsgID {
			delete(msg.Header, name)
		}
	}
	r.classifyAgain(msg)
	span := r.drain(msg)
	pause := drainPause()
	for ctx.Err() == nil {
		came, err := r.store.publish(ctx, msg, time.Now().Add(r.store.attempt))
		if err == nil {
			published(span, came, nil)
			return true
		}
		if errors.Is(err, errTooLarge) && r.putAside(msg) {
			published(span, came, err)
			return true
		}
		r.log.Debug("an event stays in the spool", "error", err)
		wait(ctx, pause.NextBackOff())
	}
	published(span, outcomeRefused, ctx.Err())
	return false
}

// putAside takes a message out of the way that the bus took when it was received, and is too large for it now.
func (r *Receiver) putAside(msg *nats.Msg) bool {
	file, err := r.store.spool.PutAside(msg, "larger than the bus takes")
	if err != nil {
		r.drainTrouble.Do(err, func() {
			r.log.Error("the oldest event of the spool is larger than the bus takes, and cannot be put aside", "error", err)
		})
		return false
	}
	r.metrics.aside.Inc()
	r.log.Error("an event of the spool was put aside, because it is larger than the bus takes", "file", file, "subject", msg.Subject, "bytes", size(msg))
	return true
}

// classifyAgain finds the command that caused a message if that was not known when the message was received, as it may have been carried
// out just before.
func (r *Receiver) classifyAgain(msg *nats.Msg) {
	if r.echo == nil || msg.Header.Get(subjects.HeaderOrigin) == "" || msg.Header.Get(subjects.HeaderEchoOf) != "" {
		return
	}
	e, err := r.paths.identify(msg.Data)
	if err != nil {
		return
	}
	if echo := r.echoOf(&e); echo != "" {
		msg.Header.Set(subjects.HeaderEchoOf, encode(echo))
		msg.Header.Set(subjects.HeaderOrigin, string(origin(&e, true)))
	}
}
