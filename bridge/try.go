package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/broker"
)

// Trial is what came of trying one part of a configuration.
type Trial struct {
	Name   string `json:"name"` // bus or api
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// Try tries what a configuration says against the real bus and the real API, without changing anything there. The error joins those of the
// trials that failed.
func Try(ctx context.Context, cfg Config) ([]Trial, error) {
	var trials []Trial
	var errs []error
	for _, t := range []struct {
		name string
		run  func(context.Context, Config) (string, error)
	}{{"bus", tryBus}, {"api", tryAPI}} {
		detail, err := t.run(ctx, cfg)
		if err != nil {
			detail = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", t.name, err))
		}
		trials = append(trials, Trial{Name: t.name, OK: err == nil, Detail: detail})
	}
	return trials, errors.Join(errs...)
}

// tryBus connects to an external bus. The embedded one is not tried: only one process can use its directory.
func tryBus(ctx context.Context, cfg Config) (detail string, err error) {
	if cfg.NATS.Mode == broker.Embedded {
		return "embedded; it starts with the bridge", nil
	}
	opened, err := broker.Open(ctx, cfg.NATS, broker.Options{Name: "cxbridge check", Settings: cfg.StreamSettings()})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, opened.Close(ctx)) }()
	for !opened.Conn().IsConnected() {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return "", fmt.Errorf("not connected: %w", errors.Join(opened.Conn().LastError(), err))
		}
	}
	account, err := opened.JetStream().AccountInfo(ctx)
	if errors.Is(err, jetstream.ErrJetStreamNotEnabled) || errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount) {
		return "", fmt.Errorf("connected to %s, but JetStream is not enabled there: %w", opened.ClientURL(), err)
	}
	if err != nil {
		return "", fmt.Errorf("jetstream: %w", err)
	}
	return fmt.Sprintf("%s, nats-server %s, %d streams", opened.ClientURL(), opened.Conn().ConnectedServerVersion(), account.Streams), nil
}

// tryAPI makes the one call that changes nothing.
func tryAPI(ctx context.Context, cfg Config) (string, error) {
	if !cfg.needsAPI() {
		return "not needed", nil
	}
	client, err := cfg.CX.NewClient("cxbridge/"+Version(), 1)
	if err != nil {
		return "", err
	}
	defer client.CloseIdleConnections()
	inboxes, err := client.ListInboxes(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%d inboxes", len(inboxes)), nil
}
