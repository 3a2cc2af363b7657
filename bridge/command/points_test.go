package command

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/bridge/ledger"
	"github.com/cxbridge/cxbridge/cxapi"
	"github.com/cxbridge/cxbridge/subjects"
)

// point stands still at one named point of a command's life, until the process dies: what comes before has happened, what comes after never will.
type point struct {
	name    string
	reached chan struct{}
	once    sync.Once
}

func (p *point) pass(ctx context.Context, name string) error {
	if name != p.name {
		return nil
	}
	p.once.Do(func() { close(p.reached) })
	<-ctx.Done()
	return ctx.Err()
}

// around does something between two points.
func around[T any](ctx context.Context, p *point, name string, do func() (T, error)) (T, error) {
	var zero T
	if err := p.pass(ctx, "before "+name); err != nil {
		return zero, err
	}
	made, err := do()
	if dead := p.pass(ctx, "after "+name); dead != nil {
		return zero, dead
	}
	return made, err
}

type pointedLedger struct {
	epochRecords
	*point
}

func (l pointedLedger) Claim(ctx context.Context, c ledger.Claim) (ledger.Claim, error) {
	return around(ctx, l.point, "claim", func() (ledger.Claim, error) { return l.epochRecords.Claim(ctx, c) })
}

func (l pointedLedger) Settle(ctx context.Context, o *ledger.Outcome) (*ledger.Outcome, error) {
	return around(ctx, l.point, "outcome", func() (*ledger.Outcome, error) { return l.epochRecords.Settle(ctx, o) })
}

type pointedWriter struct {
	Publisher
	*point
}

func (w pointedWriter) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	return around(ctx, w.point, "result", func() (*jetstream.PubAck, error) { return w.Publisher.PublishMsg(ctx, m, opts...) })
}

type pointedAPI struct {
	API
	*point
}

func (a pointedAPI) SendMessage(ctx context.Context, m cxapi.MessageParams) (*cxapi.Message, error) {
	made, err := around(ctx, a.point, "call", func() (*cxapi.Message, error) { return a.API.SendMessage(ctx, m) })
	if ctx.Err() != nil {
		return nil, &cxapi.Error{Op: "POST messages/", Kind: cxapi.KindCancelled, Outcome: cxapi.OutcomeUnknown, Err: ctx.Err()}
	}
	return made, err
}

// TestADeathAtEachPointOfACommandsLife: nothing is lost, nothing is done twice, the order is kept, and there is one result.
func TestADeathAtEachPointOfACommandsLife(t *testing.T) {
	for name, want := range map[string]struct {
		done         bool // at the API, when the process dies
		echo, silent subjects.Status
	}{
		"before claim":   {false, subjects.StatusDone, subjects.StatusDone},
		"after claim":    {false, subjects.StatusUnknown, subjects.StatusUnknown},
		"before call":    {false, subjects.StatusUnknown, subjects.StatusUnknown},
		"after call":     {true, subjects.StatusDone, subjects.StatusUnknown},
		"before outcome": {true, subjects.StatusDone, subjects.StatusUnknown},
		"after outcome":  {true, subjects.StatusDone, subjects.StatusDone},
		"before result":  {true, subjects.StatusDone, subjects.StatusDone},
		"after result":   {true, subjects.StatusDone, subjects.StatusDone}, // and before the acknowledgement
		"after ack":      {true, subjects.StatusDone, subjects.StatusDone},
	} {
		for silent, status := range map[bool]subjects.Status{false: want.echo, true: want.silent} {
			t.Run(name+map[bool]string{true: ", no echo", false: ""}[silent], func(t *testing.T) {
				t.Parallel()
				dies(t, name, silent, want.done, status)
			})
		}
	}
}

func dies(t *testing.T, name string, silent, done bool, status subjects.Status) {
	b := newBus(t)
	p := newPlatform(t, b)
	p.behave = func(Operation, string, string, int) behaviour { return behaviour{silent: silent} }
	cfg := testConfig()
	cfg.EchoWait, cfg.CallTimeout = shortEcho, time.Second
	at := &point{name: name, reached: make(chan struct{})}
	r := newRunner(t, b, pointedAPI{p, at}, cfg)
	begin := r.begin
	r.begin = func(ctx context.Context, epoch uint64) (epochRecords, error) {
		e, err := begin(ctx, epoch)
		return pointedLedger{e, at}, err
	}
	r.writer = pointedWriter{r.writer, at}
	r.cfg.CallTimeout = testConfig().CallTimeout // dying takes time
	b.send(t, "a", 1, "x")
	x := run(t, r, 1)
	if name == "after ack" {
		b.settled(t, 1)
	} else {
		<-at.reached
	}
	x.crash(t)
	if n := len(p.done()); n != map[bool]int{true: 1}[done] {
		t.Fatalf("%d done when the process died", n)
	}
	b.send(t, "b", 1, "y")
	run(t, newRunner(t, b, p, cfg), 2)
	if r := b.result(t, subjects.MessageSend, "b"); r.Status != subjects.StatusDone {
		t.Errorf("the next one: %+v", r)
	}
	first := b.result(t, subjects.MessageSend, "a")
	if first.Status != status {
		t.Errorf("%+v", first)
	}
	b.settled(t, 2)
	var texts []string
	for _, d := range p.done() {
		texts = append(texts, d.content)
	}
	expect := []string{"x", "y"}
	if !done && status == subjects.StatusUnknown {
		expect = expect[1:]
	}
	if !slices.Equal(texts, expect) || b.count(t, b.names.ResultsStream()) != 2 {
		t.Errorf("done %v, %d results", texts, b.count(t, b.names.ResultsStream()))
	}
	if n := b.letters(t); n != map[bool]int{true: 1}[status == subjects.StatusUnknown] {
		t.Errorf("%d dead letters", n)
	}
}
