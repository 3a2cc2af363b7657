package bridge

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/command"
	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/cxapi"
)

// runner makes what carries out commands.
func (p *process) runner(ctx context.Context) (*command.Runner, error) {
	contacts, err := p.broker.Bucket(ctx, p.names.ContactsBucket())
	if err != nil {
		return nil, err
	}
	lease, err := p.broker.Lease(ctx)
	if err != nil {
		return nil, err
	}
	p.live.mu.Lock()
	defer p.live.mu.Unlock()
	cfg, now := p.cfg.Commands, p.live.inForce.CX
	cfg.CallTimeout, cfg.RatePerSecond, cfg.RateBurst = p.cfg.CX.Timeout, now.RatePerSecond, now.RateBurst
	p.live.runner, err = command.New(cfg, command.Deps{
		Names: p.names, Tenant: p.cfg.CX.TenantDomain, JetStream: p.broker.JetStream(), Publisher: p.broker.Publisher(), Conn: p.broker.Conn(), Ledger: p.ledger, API: p.client,
		Bucket: lease, Contacts: command.NewKVContacts(contacts, p.cfg.CX.TenantDomain), Layout: command.EventLayout{Content: p.cfg.Webhook.Fields.Content},
		Numbered: func(ctx context.Context) (time.Time, error) { return made(ctx, lease) },
		Log:      p.log, Registerer: p.metrics, Tracer: p.traces.Tracer(),
	})
	return p.live.runner, err
}

// rpc makes the micro service.
func (p *process) rpc(ready *readiness) *rpc.Service {
	queries := p.operate(ready)
	queries["bridge.drift"] = func(context.Context, []byte) (any, error) { return p.drift.Report(), nil }
	if p.client != nil {
		queries["inbox.list"] = p.inboxes
	}
	return rpc.New(p.cfg.RPC, rpc.Deps{
		Names: p.names, Tenant: p.cfg.CX.TenantDomain, Conn: p.broker.Conn(), JetStream: p.broker.JetStream(), Queries: queries,
		Version: semanticVersion(Version()), Log: p.log,
	})
}

// inbox is a row of the answer to inbox.list.
type inbox struct {
	ID          cxapi.ID `json:"id"`
	Name        string   `json:"name"`
	ChannelType string   `json:"channel_type"`
}

func (p *process) inboxes(ctx context.Context, _ []byte) (any, error) {
	found, err := p.client.ListInboxes(ctx)
	if err != nil {
		return nil, fmt.Errorf("the API of CX did not list the inboxes: %w", err)
	}
	rows := make([]inbox, 0, len(found))
	for _, i := range found {
		rows = append(rows, inbox{ID: i.ID, Name: i.Name, ChannelType: i.ChannelType})
	}
	return rows, nil
}

// made tells when a bucket was made.
func made(ctx context.Context, bucket jetstream.KeyValue) (time.Time, error) {
	status, err := bucket.Status(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("bucket %s: %w", bucket.Bucket(), err)
	}
	known, ok := status.(*jetstream.KeyValueBucketStatus)
	if !ok {
		return time.Time{}, fmt.Errorf("bucket %s: it is not told when it was made", bucket.Bucket())
	}
	return known.StreamInfo().Created, nil
}
