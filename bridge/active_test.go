package bridge

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker/natstest"
	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/lease"
)

// brief is a runner that gives up at once.
type brief struct{}

func (brief) Run(context.Context, context.Context, command.Term) error { return errors.New("broken") }
func (brief) Status() command.Status                                   { return command.Status{} }
func (brief) ReadBacklog(context.Context) error                        { return nil }

// kept is a bucket whose keys cannot be deleted.
type kept struct{ jetstream.KeyValue }

func (kept) Delete(context.Context, string, ...jetstream.KVDeleteOpt) error {
	return errors.New("lost")
}

func TestTheLeaseThatABridgeLostItselfIsNoOtherActiveBridge(t *testing.T) {
	t.Parallel()
	js := natstest.Start(t).JetStream(t)
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "B", LimitMarkerTTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	compete := func(bucket jetstream.KeyValue) *elected {
		return &elected{lease: lease.New(js, bucket, "active", "host/1", natstest.Patience, log), runner: brief{}, log: log}
	}
	e, standby := compete(kept{bucket}), compete(bucket)
	if err := e.working(t.Context()); err == nil {
		t.Error("no bridge was active, and nothing is wrong")
	}
	term, err := e.lease.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := e.serve(t.Context(), term); err == nil || !strings.Contains(err.Error(), "release") {
		t.Fatalf("serve = %v", err)
	}
	if err := e.working(t.Context()); err == nil || !strings.Contains(err.Error(), "has ended its term") {
		t.Errorf("with the lease of its own former term: %v", err)
	}
	if err := standby.working(t.Context()); err != nil {
		t.Errorf("a standby with the same name: %v", err)
	}
}
