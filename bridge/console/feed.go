package console

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/cxbridge/cxbridge/subjects"
)

// Bounds of one look at a stream: what it costs does not depend on how much flows.
const (
	mostRows  = 20      // messages that are read
	mostBytes = 1 << 20 // bytes of them after which no more are read
	keptRows  = 200     // that a new page begins with
	lookLimit = 3 * time.Second
)

// feed looks at the ends of the streams. Only the loop of the console uses it, but for recent.
type feed struct {
	streams Streams
	sources []*source
	last    time.Time

	mu   sync.Mutex
	kept []row
}

// source is a stream that is looked at.
type source struct {
	kind, stream string
	known        bool   // whether last is
	last         uint64 // sequence up to which all is told or left out
}

// news is what one look found.
type news struct {
	Milliseconds int64   `json:"ms"` // since the look before
	Counts       []count `json:"counts"`
	Rows         []row   `json:"rows"`
	Problem      string  `json:"problem,omitempty"` // why there may be more than is told
}

// count tells how much was stored, and how much of it is among the rows.
type count struct {
	Kind  string `json:"kind"`
	New   uint64 `json:"new"`
	Shown int    `json:"shown"`
	Held  uint64 `json:"held"` // messages in the stream
}

func newFeed(names subjects.Names, streams Streams) *feed {
	return &feed{streams: streams, sources: []*source{
		{kind: kindEvent, stream: names.EventsStream()}, {kind: kindCommand, stream: names.CommandsStream()},
		{kind: kindResult, stream: names.ResultsStream()}, {kind: kindDead, stream: names.DeadStream()},
	}}
}

// begin makes the next look start with the latest messages.
func (f *feed) begin() {
	for _, s := range f.sources {
		s.known = false
	}
	f.last = time.Now()
}

// end forgets what nobody watches any more.
func (f *feed) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = nil
}

// recent returns what a new page begins with, the oldest first.
func (f *feed) recent() []row {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]row{}, f.kept...) // never null in JSON
}

// look tells what was stored since the last look, in order of time. A bus that is away is told, too.
func (f *feed) look(ctx context.Context) news {
	now := time.Now()
	n := news{Milliseconds: now.Sub(f.last).Milliseconds(), Counts: []count{}, Rows: []row{}}
	f.last = now
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	for _, s := range f.sources {
		c, rows, err := s.look(ctx, f.streams)
		if err != nil {
			n.Problem = err.Error()
			break
		}
		n.Counts, n.Rows = append(n.Counts, c), append(n.Rows, rows...)
	}
	slices.SortStableFunc(n.Rows, func(a, b row) int { return a.Time.Compare(b.Time.Time) })
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, n.Rows...)
	if left := len(f.kept) - keptRows; left > 0 {
		f.kept = slices.Clone(f.kept[left:])
	}
	return n
}

func (s *source) look(ctx context.Context, streams Streams) (count, []row, error) {
	stream, err := streams.Stream(ctx, s.stream)
	if err != nil {
		return count{}, nil, err
	}
	state := stream.CachedInfo().State
	c := count{Kind: s.kind, Held: state.Msgs}
	switch {
	case !s.known || s.last > state.LastSeq: // the first look, or the stream was made anew
		s.last = state.LastSeq - min(state.LastSeq, mostRows)
	default:
		c.New = state.LastSeq - s.last
	}
	first := max(s.last+1, state.FirstSeq)
	rows, err := s.read(ctx, stream, picked(first, state.LastSeq))
	if err != nil {
		return c, nil, err
	}
	s.known, s.last, c.Shown = true, state.LastSeq, len(rows)
	return c, rows, nil
}

// picked returns sequences from the first to the last, all of them or as many as are read, evenly spread, with the last among them.
func picked(first, last uint64) []uint64 {
	var seqs []uint64
	if first > last {
		return nil
	}
	span := last - first + 1
	n := min(span, mostRows)
	for i := range n {
		seqs = append(seqs, first+(i+1)*span/n-1)
	}
	return seqs
}

// read reads messages, the latest first, so that the bound of bytes leaves out the earlier ones. Those that were deleted meanwhile are left out.
func (s *source) read(ctx context.Context, stream jetstream.Stream, seqs []uint64) ([]row, error) {
	var rows []row
	size := 0
	for _, seq := range slices.Backward(seqs) {
		if size > mostBytes {
			break
		}
		m, err := stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		size += len(m.Data)
		rows = append(rows, rowOf(s.kind, m))
	}
	slices.Reverse(rows)
	return rows, nil
}
