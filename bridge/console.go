package bridge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/cxbridge/cxbridge/bridge/console"
	"github.com/cxbridge/cxbridge/bridge/rpc"
)

// ownQueries answers the operator's queries in this process, also while the bus is away.
type ownQueries map[string]rpc.Query

// Ask answers a query as the micro service does.
func (q ownQueries) Ask(ctx context.Context, query string, request []byte) (any, error) {
	answer, found := q[query]
	if !found {
		return nil, fmt.Errorf("%s: %w", query, console.ErrNoQuery)
	}
	return answer(ctx, request)
}

// buildConsole makes the page, and puts it into the admin listener.
func (p *process) buildConsole() error {
	p.console = console.New(console.Deps{
		Names: p.names, Streams: p.broker.JetStream(), Operator: ownQueries(p.operate(p.operator.ready)), Metrics: p.metrics, Refresh: p.survey.refresh,
		Token: p.operator.inForce, Allowed: p.operator.shows, Log: p.log,
	})
	handler, err := p.console.Handler()
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	p.operator.console, p.operator.session = handler, p.console.Permits
	return nil
}

// adminListener is where operators come in, by TLS if that is configured.
func (p *process) adminListener() (net.Listener, error) {
	if p.cfg.Admin.TLS.CertFile == "" {
		return p.admin, nil
	}
	config, err := p.cfg.Admin.TLS.Listener(p.log)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	return tls.NewListener(p.admin, config), nil
}
