package bridge

import (
	"errors"
	"time"

	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/cxapi"
)

// exportAll registers what is known of the process as a whole.
func (p *process) exportAll() error {
	f := telemetry.NewMetrics(p.metrics)
	p.exportReady(f)
	if p.cfg.Commands.Enabled {
		p.exportActive(f)
	}
	if p.tokens != nil {
		p.exportTokens(f)
	}
	return errors.Join(f.Err(), p.broker.Export(p.metrics), p.ledger.Export(p.metrics))
}

func (p *process) exportReady(f *telemetry.Metrics) {
	var (
		ready = telemetry.NewReading("cxbridge_ready", telemetry.Text{
			Means: "1 while everything has been proven to work, as /readyz tells it.", Do: "cxbridge_check_failed tells which part does not; /readyz tells why.",
		})
		failed = telemetry.NewReading("cxbridge_check_failed", telemetry.Text{Means: "1 for each part of the bridge that does not work.", Do: "/readyz tells why."}, "check")
	)
	f.Read(func(emit telemetry.Emit) {
		faults := p.proven.faults.Load()
		emit(ready, telemetry.Truth(faults != nil && len(*faults) == 0))
		if faults == nil {
			return
		}
		wrong := map[string]bool{}
		for _, fault := range *faults {
			wrong[fault.Check] = true
		}
		for _, c := range p.operator.ready.checks {
			emit(failed, telemetry.Truth(wrong[c.name]), c.name)
		}
	}, ready, failed)
}

func (p *process) exportActive(f *telemetry.Metrics) {
	var (
		active = telemetry.NewReading("cxbridge_active", telemetry.Text{
			Means: "1 while this bridge is the one that carries out commands; exactly one of the bridges on the same bus is.", Do: "None: are they connected, and is the bus ready? Two: they are on different buses, or have different subjects.prefix.",
		})
		epoch = telemetry.NewReading("cxbridge_lease_epoch", telemetry.Text{Means: "Number of the latest term in which this bridge was the active one; 0 before the first. It grows with each change of the active bridge."})
		left  = telemetry.NewReading("cxbridge_lease_left_seconds", telemetry.Text{
			Means: "For how long this bridge stays the active one even if the lease is not renewed; 0 if it is not.", Do: "Near 0 again and again: the bus is slow; see commands.lease_ttl.",
		})
	)
	f.Read(func(emit telemetry.Emit) {
		e := p.elected.Load()
		if e == nil {
			emit(active, 0)
			emit(epoch, 0)
			emit(left, 0)
			return
		}
		remains := 0.0
		if term := e.term.Load(); term != nil {
			remains = max(term.Left().Seconds(), 0)
		}
		emit(active, telemetry.Truth(e.runner.Status().Active))
		emit(epoch, float64(e.latest.Load()))
		emit(left, remains)
	}, active, epoch, left)
}

func (p *process) exportTokens(f *telemetry.Metrics) {
	var (
		expiry = telemetry.NewReading("cxbridge_token_expiry_timestamp_seconds", telemetry.Text{
			Means: "When the access token for the API expires, as a Unix time; only with cx.oauth, and when the server said so.", Do: "It is renewed before that; if not, see cxbridge_token_requests_total.",
		})
		requests = telemetry.NewCount("cxbridge_token_requests_total", telemetry.Text{
			Means: "Requests for an access token with cx.oauth, by outcome.", Do: "failed: check client_id, client_secret and token_url; cxbridge check --online tries them.",
		}, "outcome")
	)
	f.Read(func(emit telemetry.Emit) {
		until, asked := p.tokens.figures()
		if !until.IsZero() {
			emit(expiry, float64(until.Unix()))
		}
		emit(requests, float64(asked.Succeeded), "succeeded")
		emit(requests, float64(asked.Failed), "failed")
	}, expiry, requests)
}

// figures tells when the current token expires, the zero time if that is not known, and how often a token was asked for.
func (e *exchangeable) figures() (until time.Time, asked cxapi.Requests) {
	if c, ok := (*e.current.Load()).(*cxapi.ClientCredentials); ok {
		return c.Expiry(), c.Requests()
	}
	return time.Time{}, cxapi.Requests{}
}
