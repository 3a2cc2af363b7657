package bridge

import (
	"context"

	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/rpc"
)

// runner makes what carries out commands.
func (p *process) runner(ctx context.Context) (*command.Runner, error) {
	contacts, err := p.broker.Bucket(ctx, p.names.ContactsBucket())
	if err != nil {
		return nil, err
	}
	cfg := p.cfg.Commands
	cfg.CallTimeout, cfg.RatePerSecond, cfg.RateBurst = p.cfg.CX.Timeout, p.cfg.CX.RatePerSecond, p.cfg.CX.RateBurst
	return command.New(cfg, command.Deps{
		Names: p.names, Tenant: p.cfg.CX.TenantDomain, JetStream: p.broker.JetStream(), Conn: p.broker.Conn(), Ledger: p.ledger, API: p.client,
		Contacts: command.NewKVContacts(contacts, p.cfg.CX.TenantDomain), Layout: command.EventLayout{Content: p.cfg.Webhook.Fields.Content},
		Log: p.log, Registerer: p.metrics,
	})
}

// rpc makes the micro service.
func (p *process) rpc() *rpc.Service {
	return rpc.New(p.cfg.RPC, rpc.Deps{
		Names: p.names, Tenant: p.cfg.CX.TenantDomain, Conn: p.broker.Conn(), JetStream: p.broker.JetStream(), Version: "0.0.0", Log: p.log,
	})
}
