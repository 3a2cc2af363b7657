package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cxbridge/cxbridge/bridge/broker"
	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/console"
	"github.com/cxbridge/cxbridge/bridge/drift"
	"github.com/cxbridge/cxbridge/bridge/lease"
	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/bridge/pause"
	"github.com/cxbridge/cxbridge/bridge/spool"
	"github.com/cxbridge/cxbridge/bridge/telemetry"
	"github.com/cxbridge/cxbridge/bridge/webhook"
	"github.com/cxbridge/cxbridge/cxapi"
)

// process is a bridge while it runs: what was opened, and what runs in which stage. The stages are stopped in this order, so that webhooks
// are taken for as long as commands may still wait for one, and the bus is there for both.
type process struct {
	*Bridge
	ledger   *ledger.Ledger
	spool    *spool.Spool // nil in embedded mode
	drift    *drift.Watch
	receiver *webhook.Receiver
	client   *cxapi.Client // nil if nothing calls the API
	tokens   *exchangeable // of client
	operator *adminServer
	console  *console.Console
	live     reloading
	elected  atomic.Pointer[elected]
	prepared atomic.Pointer[error] // of the streams; nil before the first answer
	proven   known
	survey   *survey
	paused   atomic.Pointer[pause.State]
	stopping atomic.Bool

	commands *stage // carries out commands
	intake   *stage // takes webhooks
	support  *stage // everything else
	undo     cleanups
}

// Run runs the bridge until ctx ends or something fails for good, and returns when everything has stopped. The end of ctx asks for a soft
// stop: what is in hand is finished, for as long as the configured grace lasts. A bridge runs once.
func (b *Bridge) Run(ctx context.Context) error {
	b.mu.Lock()
	again := b.ran
	b.ran = true
	b.mu.Unlock()
	if again {
		return errors.New("bridge: Run was called before")
	}
	working, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &process{Bridge: b}
	failed := func(err error) { cancel(&failure{err}) }
	p.commands, p.intake, p.support = newStage(ctx, "commands", failed), newStage(ctx, "webhooks", failed), newStage(ctx, "support", failed)
	err := p.start(working)
	if err == nil {
		<-working.Done()
	}
	var cause *failure
	if errors.As(context.Cause(working), &cause) {
		err = cause.err
	} else if ctx.Err() != nil {
		err = nil // it was asked to stop, be it while it started
	}
	return errors.Join(err, p.stop())
}

// failure is a task that ended before it was asked to.
type failure struct{ err error }

func (f *failure) Error() string { return f.err.Error() }

func (p *process) start(ctx context.Context) error {
	steps := []func(context.Context) error{p.listen, p.openBus, p.openSpool, p.build, p.serve}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// listen takes both addresses, before anything else, so that a second bridge with the same configuration ends without having touched
// anything.
func (p *process) listen(ctx context.Context) error {
	for _, l := range []struct {
		key, address string
		listener     *net.Listener
	}{{"admin.listen", p.cfg.Admin.Listen, &p.admin}, {"webhook.listen", p.cfg.Webhook.Listen, &p.webhook}} {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", l.address)
		if err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
		p.undo.add(l.key, func(context.Context) error { return closeListener(listener) })
		p.mu.Lock()
		*l.listener = listener
		p.mu.Unlock()
	}
	return nil
}

// closeListener closes a listener that a server may have closed before.
func closeListener(l net.Listener) error {
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (p *process) openBus(ctx context.Context) error {
	opened, err := broker.Open(ctx, p.cfg.NATS, broker.Options{
		Names: p.names, Settings: p.cfg.StreamSettings(), MaxPayload: p.cfg.maxPayload(), Reached: watchPayload(p.cfg, p.log), Name: "cxbridge/" + holder(), Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	p.undo.add("nats", opened.Close)
	p.mu.Lock()
	p.broker = opened
	p.mu.Unlock()
	return nil
}

// holder names this process to people.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// openSpool opens the spool in external mode. In embedded mode the bus itself is on the local disk.
func (p *process) openSpool(ctx context.Context) error {
	if p.cfg.NATS.Mode != broker.External {
		return nil
	}
	opened, err := spool.Open(ctx, p.cfg.Spool, p.log)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	p.undo.add("spool", func(context.Context) error { return opened.Close() })
	p.spool = opened
	return opened.Export(p.metrics)
}

// build makes the components. It makes no call.
func (p *process) build(context.Context) error {
	p.ledger = ledger.NewWith(p.broker.JetStream(), p.broker.Publisher(), p.names, p.log)
	if p.cfg.needsAPI() {
		tokens, err := p.cfg.CX.tokens()
		if err != nil {
			return fmt.Errorf("cx: %w", err)
		}
		p.tokens = newExchangeable(tokens)
		client, err := p.cfg.CX.newClient(p.tokens, "cxbridge/"+Version(), p.cfg.Commands.MaxInFlight, p.traces)
		if err != nil {
			return err
		}
		p.client = client
		p.undo.add("cx", func(context.Context) error { client.CloseIdleConnections(); return nil })
	}
	watch, err := drift.New(p.log, p.metrics)
	if err != nil {
		return fmt.Errorf("drift: %w", err)
	}
	p.drift = watch
	deps := webhook.Deps{
		Names: p.names, Tenant: p.cfg.CX.TenantDomain, Keyed: p.cfg.Subjects.Keyed, Publisher: p.broker.Publisher(),
		Echo: p.ledger, Fingerprint: ledger.Fingerprint, Drift: p.drift, MaxPayload: p.broker.Conn().MaxPayload, Log: p.log, Registerer: p.metrics,
		Tracer: p.traces.Tracer(),
	}
	if p.spool != nil {
		deps.Spool = p.spool
	}
	receiver, err := webhook.New(p.cfg.Webhook, deps)
	if err != nil {
		return err
	}
	p.receiver = receiver
	return p.buildAdmin()
}

func (p *process) buildAdmin() error {
	secrets, err := p.cfg.startSecrets()
	if err != nil {
		return err
	}
	p.survey = newSurvey(p.readFigures)
	if err := p.exportAll(); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	p.operator = &adminServer{
		ready: &readiness{checks: p.checks(), remarks: p.remarks, log: p.log}, metrics: p.survey.before(telemetry.Handler(p.metrics, p.log)), contract: p.contract,
		drift: p.drift, local: onLoopback(p.cfg.Admin.Listen),
	}
	p.operator.token.Store(&secrets.admin)
	p.live.inForce, p.live.secrets = p.cfg, secrets
	if err := p.buildConsole(); err != nil {
		return err
	}
	p.running = p
	close(p.built)
	return nil
}

// serve starts everything that does not have to wait for the bus.
func (p *process) serve(ctx context.Context) error {
	admin, err := p.adminListener()
	if err != nil {
		return err
	}
	p.support.run("admin listener", func(ctx context.Context) error { return serveAdmin(ctx, admin, p.operator.handler(), p.log) })
	p.support.run("console", p.console.Run)
	if p.spool == nil {
		// Without a spool, an event that comes before the streams exist could not be stored.
		if err := p.broker.Ready(ctx); err != nil {
			return fmt.Errorf("nats: %w", err)
		}
	}
	p.log.Info("taking webhooks", "address", p.webhook.Addr().String(), "admin", p.admin.Addr().String())
	p.intake.run("webhook listener", func(ctx context.Context) error { return p.receiver.Serve(ctx, p.webhook) })
	p.support.run("drift", p.drift.Run)
	p.support.run("spool", p.receiver.Drain)
	p.support.run("figures", p.survey.run)
	p.support.run("webhook registration", p.register)
	p.support.run("nats", func(ctx context.Context) error { return p.join(ctx, p.operator.ready) })
	return nil
}

// join waits for the bus and then starts everything that needs it, and tells when all of it works.
func (p *process) join(ctx context.Context, ready *readiness) error {
	err := p.broker.Ready(ctx)
	p.prepared.Store(&err)
	if err != nil {
		return err
	}
	p.support.run("ledger", p.ledger.Follow)
	p.support.run("rpc", p.rpc(ready).Run)
	if p.cfg.Commands.Enabled {
		if err := p.carryOut(ctx); err != nil {
			return err
		}
	}
	for len(ready.prove(ctx, 0)) > 0 {
		if err := sleep(ctx, readyPoll); err != nil {
			return err
		}
	}
	close(p.ready)
	return nil
}

// carryOut begins to take turns with other bridges in carrying out commands.
func (p *process) carryOut(ctx context.Context) error {
	bucket, err := p.broker.Lease(ctx)
	if err != nil {
		return err
	}
	runner, err := p.runner(ctx)
	if err != nil {
		return err
	}
	e := &elected{
		lease:  lease.New(p.broker.JetStream(), bucket, "active", holder(), p.cfg.Commands.LeaseTTL, p.log),
		runner: runner, grace: p.cfg.Grace, log: p.log,
	}
	p.elected.Store(e)
	if err := p.obeyPause(ctx, pause.New(bucket, p.log), runner); err != nil {
		return err
	}
	p.commands.run("commands", e.run)
	return nil
}

// obeyPause begins to follow whether commands are paused, and returns when it is known.
func (p *process) obeyPause(ctx context.Context, s *pause.Switch, runner *command.Runner) error {
	known := make(chan struct{})
	var once sync.Once
	p.support.run("pause", func(ctx context.Context) error {
		return s.Follow(ctx, func(now pause.State) {
			p.paused.Store(&now)
			if now.Paused {
				runner.Pause()
			} else {
				runner.Resume()
			}
			once.Do(func() { close(known) })
		})
	})
	select {
	case <-known:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// register tells the vendor where to send webhooks, if the configuration says so.
func (p *process) register(ctx context.Context) error {
	if p.cfg.Webhook.PublicURL == "" {
		return nil
	}
	registrar := webhook.Registrar{Config: p.cfg.Webhook, Log: p.log, Create: func(ctx context.Context, url string, subscriptions []string) error {
		_, err := p.client.CreateWebhook(ctx, cxapi.WebhookParams{URL: url, Subscriptions: subscriptions})
		return err
	}}
	return registrar.Run(ctx)
}

// stopRoom is how much longer than the grace a stop may take altogether.
const stopRoom = 15 * time.Second

// stop stops the stages one after the other and undoes everything.
func (p *process) stop() error {
	p.stopping.Store(true)
	p.log.Info("stopping", "grace", p.cfg.Grace.String())
	limit, cancel := context.WithTimeout(context.Background(), p.cfg.Grace+stopRoom)
	defer cancel()
	var errs []error
	for _, s := range []*stage{p.commands, p.intake, p.support} {
		if err := s.stop(limit); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", s.name, err))
		}
	}
	errs = append(errs, p.undo.run())
	p.log.Info("stopped")
	return errors.Join(errs...)
}
