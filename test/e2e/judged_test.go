//go:build e2e

package e2e

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/test/judge"
)

// judged holds what is on the bus against the schemas and the header tables of the contract: of each stream at most [judge.Most] messages,
// evenly picked. Servers may still come and go meanwhile.
func judged(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	j, err := judge.New("cx")
	if err != nil {
		t.Fatal(err)
	}
	var verdict judge.Verdict
	eventually(t, "the bus can be read", func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		verdict, err = j.Bus(ctx, js)
		return err == nil
	})
	if err := errors.Join(verdict.Faults...); err != nil {
		t.Errorf("against the contract:\n%v", err)
	}
	t.Logf("judged by the contract: %v", verdict.Judged)
}
