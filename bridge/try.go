package bridge

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/subjects"
)

// Trial is what came of trying one part of a configuration.
type Trial struct {
	Name   string `json:"name"` // bus or api
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// trialLimit bounds each trial.
const trialLimit = 20 * time.Second

// trial tries one part and returns what works.
type trial struct {
	name string
	run  func(context.Context, Config) (string, error)
}

// Try tries what a configuration says against the real bus and the real API, without changing anything there. Each trial takes at most 20 s. The error
// joins those of the trials that failed, and each says what to do.
func Try(ctx context.Context, cfg Config) ([]Trial, error) {
	return tryEach(ctx, cfg, trialLimit, []trial{{"bus", tryBus}, {"api", tryAPI}})
}

func tryEach(ctx context.Context, cfg Config, limit time.Duration, all []trial) ([]Trial, error) {
	var trials []Trial
	var errs []error
	for _, t := range all {
		bounded, cancel := context.WithTimeout(ctx, limit)
		detail, err := t.run(bounded, cfg)
		cancel()
		if err != nil {
			detail = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", t.name, err))
		}
		trials = append(trials, Trial{Name: t.name, OK: err == nil, Detail: detail})
	}
	return trials, errors.Join(errs...)
}

// tryBus connects to an external bus and checks the streams that exist. The embedded one is not tried: only one process can use its directory.
func tryBus(ctx context.Context, cfg Config) (detail string, err error) {
	if cfg.NATS.Mode == broker.Embedded {
		return "embedded; it starts with the bridge", nil
	}
	names, err := subjects.New(cfg.Subjects.Prefix)
	if err != nil {
		return "", fmt.Errorf("subjects.prefix: %w", err)
	}
	opened, err := broker.Open(ctx, cfg.NATS, broker.Options{Names: names, Name: "cxbridge check", Settings: cfg.StreamSettings()})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, opened.Close(context.WithoutCancel(ctx))) }()
	missing, err := opened.Inspect(ctx)
	if err != nil {
		return "", busRemedy(opened.Conn().IsConnected(), err)
	}
	detail = fmt.Sprintf("%s, nats-server %s", opened.ClientURL(), opened.Conn().ConnectedServerVersion())
	if len(missing) == 0 {
		detail += ", all streams are there and fit"
	} else {
		detail += fmt.Sprintf(", %d streams missing; run makes them", len(missing))
	}
	if remark := cfg.payloadRemark(opened.Conn().MaxPayload()); remark != "" {
		detail += "; " + remark
	}
	return detail, nil
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
		return "", apiRemedy(err)
	}
	return fmt.Sprintf("%d inboxes", len(inboxes)), nil
}
