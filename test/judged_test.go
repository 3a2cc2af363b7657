package test

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/test/judge"
)

// judged holds everything that is on the bus against the schemas and the header tables of the contract.
func (r *running) judged() {
	r.t.Helper()
	j, err := judge.New(r.prefix)
	if err != nil {
		r.t.Fatal(err)
	}
	conn, err := nats.Connect(r.NATSURL(), nats.Timeout(patience))
	if err != nil {
		r.t.Errorf("the bus cannot be judged: %v", err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		r.t.Fatal(err)
	}
	verdict, err := j.Bus(ctx, js)
	if err = errors.Join(err, errors.Join(verdict.Faults...)); err != nil {
		r.t.Errorf("against the contract:\n%v", err)
	}
	r.t.Logf("judged by the contract: %v", verdict.Judged)
}
