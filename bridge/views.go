package bridge

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/rpc"
	"github.com/cxbridge/cxbridge/subjects"
)

// Bounds of what one answer tells.
const (
	mostLanes     = 100
	mostConsumers = 100 // of a stream
)

// Status is the answer to bridge.status, of the bridge that happens to be asked.
type Status struct {
	Bridge   string   `json:"bridge"` // host and process
	Version  string   `json:"version"`
	Tenant   string   `json:"tenant"`
	Ready    bool     `json:"ready"`
	Problems []Fault  `json:"problems"`
	Remarks  []string `json:"remarks"` // what else one should know
	Active   bool     `json:"active"`  // it is the one that carries out commands
	Epoch    uint64   `json:"epoch"`
	Holder   string   `json:"active_bridge"` // the one that is; empty if there is none, or if that is not known
	Paused   bool     `json:"paused"`
	Held     int      `json:"commands_held"`
	Running  int      `json:"commands_running"`
	Lanes    int      `json:"lanes"`
	Circuit  string   `json:"circuit"`          // of the breaker: closed, half-open or open; empty if this bridge makes no calls
	Rate     *float64 `json:"calls_per_second"` // that are allowed now; null for no limit
	// HoldUntil is when the next call may be made, because the API asked for a pause.
	HoldUntil  subjects.Time `json:"hold_until"`
	Spooled    uint64        `json:"events_spooled"`
	SpoolBytes uint64        `json:"spool_bytes"`
	Spool      bool          `json:"spool"` // there is one
	Connected  bool          `json:"bus_connected"`
}

func (p *process) status(ready *readiness) rpc.Query {
	return func(ctx context.Context, _ []byte) (any, error) {
		s := Status{
			Bridge: holder(), Version: Version(), Tenant: p.cfg.CX.TenantDomain, Problems: ready.prove(ctx, readyFresh), Remarks: p.remarks(),
			Connected: p.broker.Conn().IsConnected(), Spool: p.spool != nil,
		}
		s.Ready = len(s.Problems) == 0
		if e := p.elected.Load(); e != nil {
			s.of(ctx, e)
		}
		if state := p.paused.Load(); state != nil {
			s.Paused = state.Paused
		}
		if p.spool != nil {
			stats := p.spool.Stats()
			s.Spooled, s.SpoolBytes = stats.Messages, stats.Bytes
		}
		return s, nil
	}
}

// of fills in what is told of the carrying out of commands.
func (s *Status) of(ctx context.Context, e *elected) {
	r := e.runner.Status()
	s.Active, s.Epoch, s.Paused, s.Held, s.Running, s.Lanes, s.Circuit = r.Active, r.Epoch, r.Paused, r.Held, r.Running, r.Lanes, r.Breaker
	s.HoldUntil = subjects.Time{Time: r.HoldUntil}
	if !math.IsInf(r.Rate, 0) {
		s.Rate = &r.Rate
	}
	limit, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if name, _, err := e.lease.Holder(limit); err == nil {
		s.Holder = name
	}
}

// laneRow is a conversation or a contact whose commands wait.
type laneRow struct {
	Lane           string        `json:"lane"`
	ConversationID string        `json:"conversation_id,omitempty"` // empty for a contact, whose address is not told
	Commands       int           `json:"commands"`
	Since          subjects.Time `json:"since"` // when the first of them began to hold up the others
	State          string        `json:"state"` // running, ready or waiting
	Until          subjects.Time `json:"until"` // when a waiting one is tried again
}

// lanes tells which lanes have been held up for the longest time. Only the bridge that carries out commands has any.
func (p *process) lanes(_ context.Context, request []byte) (any, error) {
	r := struct {
		Limit int `json:"limit"`
	}{Limit: 20}
	if err := parse(request, &r); err != nil {
		return nil, err
	}
	if r.Limit < 1 || r.Limit > mostLanes {
		return nil, fmt.Errorf("%w: limit must be from 1 to %d, not %d", rpc.ErrRequest, mostLanes, r.Limit)
	}
	rows := []laneRow{}
	p.live.mu.Lock()
	runner := p.live.runner
	p.live.mu.Unlock()
	if runner == nil {
		return lanesAnswer{rows}, nil
	}
	for _, head := range runner.Oldest(r.Limit) {
		row := laneRow{Commands: head.Jobs, Since: subjects.Time{Time: head.Since}, State: "ready", Until: subjects.Time{Time: head.WakeAt}}
		row.Lane, row.ConversationID, _ = strings.Cut(head.Key, "/")
		if row.Lane != "conversation" {
			row.ConversationID = ""
		}
		switch {
		case head.Running:
			row.State = "running"
		case !head.WakeAt.IsZero():
			row.State = "waiting"
		}
		rows = append(rows, row)
	}
	return lanesAnswer{rows}, nil
}

type lanesAnswer struct {
	Lanes []laneRow `json:"lanes"`
}

// streamRow is a stream with its consumers.
type streamRow struct {
	Name      string        `json:"name"`
	About     string        `json:"about"`
	Messages  uint64        `json:"messages"`
	Bytes     uint64        `json:"bytes"`
	First     uint64        `json:"first_sequence"`
	Last      uint64        `json:"last_sequence"`
	LastTime  subjects.Time `json:"last_time"`
	Replicas  int           `json:"replicas"`
	Consumers []consumerRow `json:"consumers"`
	Problem   string        `json:"problem,omitempty"` // what could not be found out
}

type consumerRow struct {
	Name       string `json:"name"`
	Filter     string `json:"filter,omitempty"`
	Pending    uint64 `json:"pending"`     // messages that were not delivered yet
	Unanswered int    `json:"unanswered"`  // delivered, and not acknowledged yet
	Repeated   int    `json:"redelivered"` // delivered more than once, and not acknowledged yet
}

// streams tells what the streams hold, and how far those who read them have come.
func (p *process) streams(ctx context.Context, request []byte) (any, error) {
	if err := parse(request, &struct{}{}); err != nil {
		return nil, err
	}
	rows := []streamRow{}
	for _, s := range p.names.Streams(p.cfg.StreamSettings()) {
		row := streamRow{Name: s.Name, About: s.Description, Consumers: []consumerRow{}}
		if err := row.look(ctx, p.broker.JetStream()); err != nil {
			row.Problem = err.Error()
		}
		rows = append(rows, row)
	}
	return struct {
		Streams []streamRow `json:"streams"`
	}{rows}, nil
}

// look fills in what the server tells.
func (r *streamRow) look(ctx context.Context, js jetstream.JetStream) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel() // also ends the list, if it is not read to its end
	stream, err := js.Stream(ctx, r.Name)
	if err != nil {
		return err
	}
	info := stream.CachedInfo()
	r.Messages, r.Bytes, r.First, r.Last = info.State.Msgs, info.State.Bytes, info.State.FirstSeq, info.State.LastSeq
	r.LastTime, r.Replicas = subjects.Time{Time: info.State.LastTime}, info.Config.Replicas
	list := stream.ListConsumers(ctx)
	for c := range list.Info() {
		if len(r.Consumers) == mostConsumers {
			r.Problem = fmt.Sprintf("it has more than %d consumers", mostConsumers)
			return nil
		}
		filter := strings.Join(append(c.Config.FilterSubjects, c.Config.FilterSubject), " ")
		r.Consumers = append(r.Consumers, consumerRow{
			Name: c.Name, Filter: strings.TrimSpace(filter), Pending: c.NumPending, Unanswered: c.NumAckPending, Repeated: c.NumRedelivered,
		})
	}
	return list.Err()
}

// keyRow is a key of the configuration in force.
type keyRow struct {
	Key     string `json:"key"`
	Value   string `json:"value"` // for people; of a secret only whether it is set
	Secret  bool   `json:"secret,omitempty"`
	Default bool   `json:"default"` // it has its default
	Live    bool   `json:"live"`    // it can change while the bridge runs
}

// configuration tells the configuration in force, without secrets.
func (p *process) configuration(_ context.Context, request []byte) (any, error) {
	if err := parse(request, &struct{}{}); err != nil {
		return nil, err
	}
	rows := []keyRow{}
	schema := schemaOf(reflect.TypeFor[Config]())
	inForce, defaults := reflect.ValueOf(p.inForce()), reflect.ValueOf(DefaultConfig())
	for _, key := range schema.keys {
		leaf := schema.leaves[key]
		value := inForce.FieldByIndex(leaf.index)
		row := keyRow{Key: key, Secret: leaf.secret, Default: same(value, defaults.FieldByIndex(leaf.index)), Live: isLive(key)}
		switch {
		case !leaf.secret:
			row.Value = show(value.Interface())
		case !emptySecret(value.Interface()):
			row.Value = "set"
		}
		rows = append(rows, row)
	}
	return struct {
		Keys []keyRow `json:"keys"`
	}{rows}, nil
}
