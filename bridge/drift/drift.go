// Package drift watches for what the vendor changes: members, values and event names that the layouts of package schema do not know. Nothing
// breaks by them, as events go to the bus byte for byte; but an operator wants to know before a bot stumbles. See DESIGN.md.
package drift

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cxbridge/cxbridge/subjects/schema"
)

// Bounds of what is looked at and of what is kept.
const (
	// Every is the time between two events of one name that are looked at. All names that are not known share one.
	Every = 200 * time.Millisecond
	// MostBytes is the size of the largest body that is looked at.
	MostBytes = 256 << 10
	// MostFindings is how many different findings are kept.
	MostFindings = 200
	// mostNew is how many new findings one body may add, so that a single odd one does not fill the list.
	mostNew = 20
	// waiting is how many bodies may wait to be looked at.
	waiting = 16
)

// Watch looks at a sample of the events. It is made by [New].
type Watch struct {
	layouts map[string]*known
	others  gate // of names that are not known
	began   time.Time
	queue   chan event
	log     *slog.Logger
	metrics metrics

	hearing sync.Mutex          // held for a moment only, as webhooks wait for it
	names   map[string]struct{} // that are not known and were looked at, cut

	mu    sync.Mutex
	found map[key]*Finding
	order []*Finding
	left  uint64
	seen  uint64
}

// known is an event that the vendor is known to send.
type known struct {
	gate
	members map[string]schema.EventMember // nil: nothing is known of them
}

// event is a copy of an event.
type event struct {
	name string
	body []byte
	at   time.Time
}

// gate lets something through from time to time.
type gate struct{ next atomic.Int64 }

// open reports whether it is time, given as what has passed since some beginning.
func (g *gate) open(passed time.Duration) bool {
	next := g.next.Load()
	return int64(passed) >= next && g.next.CompareAndSwap(next, int64(passed+Every))
}

type metrics struct {
	findings map[Kind]prometheus.Counter
	examined prometheus.Counter
}

// New returns a watch that looks at nothing until it runs. A nil registerer exports nothing.
func New(log *slog.Logger, registry prometheus.Registerer) (*Watch, error) {
	w := &Watch{
		layouts: map[string]*known{}, began: time.Now(), queue: make(chan event, waiting), log: log,
		names: map[string]struct{}{}, found: map[key]*Finding{},
	}
	for _, l := range schema.Layouts() {
		for _, name := range l.Events {
			w.layouts[name] = &known{members: byName(l.Members)}
		}
	}
	return w, w.register(registry)
}

func (w *Watch) register(registry prometheus.Registerer) error {
	findings := prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "cxbridge", Subsystem: "drift", Name: "total",
		Help: "Members, values and event names in events looked at that the bridge does not know, by kind; GET /drift names them.",
	}, []string{"kind"})
	w.metrics = metrics{findings: map[Kind]prometheus.Counter{}, examined: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: "cxbridge", Subsystem: "drift", Name: "examined_total", Help: "Events that were looked at: a few of each name a second.",
	})}
	for _, k := range []Kind{Member, Value, Event} {
		w.metrics.findings[k] = findings.WithLabelValues(string(k))
	}
	if registry == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{findings, w.metrics.examined} {
		if err := registry.Register(c); err != nil {
			return err
		}
	}
	return nil
}

// Offer gives an event to be looked at, if it is time for one of that name. It never waits, and keeps neither of its arguments: it copies
// them when it takes them.
func (w *Watch) Offer(name string, body []byte, now time.Time) {
	passed := now.Sub(w.began)
	if k, ok := w.layouts[name]; ok {
		if k.open(passed) {
			w.put(name, body, now)
		}
		return
	}
	if first := w.unheard(name); (first || w.others.open(passed)) && w.put(name, body, now) && first {
		w.heard(name)
	}
}

// put queues a copy unless the queue is full, and reports whether it did.
func (w *Watch) put(name string, body []byte, now time.Time) bool {
	if len(body) > MostBytes || len(w.queue) == cap(w.queue) {
		return false
	}
	select {
	case w.queue <- event{strings.Clone(name), bytes.Clone(body), now}:
		return true
	default:
		return false
	}
}

// unheard reports whether a name is a new one that is to be looked at whatever the time.
func (w *Watch) unheard(name string) bool {
	w.hearing.Lock()
	defer w.hearing.Unlock()
	_, ok := w.names[cut(name)]
	return !ok && len(w.names) < MostFindings
}

func (w *Watch) heard(name string) {
	w.hearing.Lock()
	defer w.hearing.Unlock()
	if len(w.names) < MostFindings {
		w.names[strings.Clone(cut(name))] = struct{}{}
	}
}

// cut bounds the memory that a name takes.
func cut(name string) string { return name[:min(len(name), 2*mostName)] }

// Run looks at events until ctx ends.
func (w *Watch) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.queue:
			w.examine(e)
		}
	}
}

func byName(members []schema.EventMember) map[string]schema.EventMember {
	if len(members) == 0 {
		return nil
	}
	all := make(map[string]schema.EventMember, len(members))
	for _, m := range members {
		all[m.Name] = m
	}
	return all
}
