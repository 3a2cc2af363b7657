package telemetry

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How many lines with the same message and level are written within a second; the others are counted, and the count is told when it is over.
const (
	mostLines      = 20
	mostDebugLines = 200  // who asks for debug wants to see each event and command, as long as somebody can read them
	mostMessages   = 1000 // that are told apart within a second; all others are bounded as if they were one
)

// otherLines stands for the messages beyond mostMessages.
const otherLines = "other lines"

// bounded hands on so many lines a second that nobody is buried under them.
type bounded struct {
	slog.Handler
	second *second
}

func newBounded(next slog.Handler) *bounded { return &bounded{Handler: next, second: newSecond(next)} }

// Handle implements [slog.Handler].
func (b *bounded) Handle(ctx context.Context, r slog.Record) error {
	if !b.second.admit(r.Level, r.Message) {
		return nil
	}
	return b.Handler.Handle(ctx, r)
}

// WithAttrs implements [slog.Handler].
func (b *bounded) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &bounded{Handler: b.Handler.WithAttrs(attrs), second: b.second}
}

// WithGroup implements [slog.Handler].
func (b *bounded) WithGroup(name string) slog.Handler {
	return &bounded{Handler: b.Handler.WithGroup(name), second: b.second}
}

// second counts the lines of the current second, for a handler and all that were made of it.
type second struct {
	tell slog.Handler

	mu      sync.Mutex
	began   time.Time
	seen    map[line]int
	over    int         // how many of seen are beyond their bound
	pending *time.Timer // tells what was left out; nil unless something was
}

// line is what makes lines alike.
type line struct {
	level   slog.Level
	message string
}

// leftOut is how often a line was not written.
type leftOut struct {
	line
	times int
}

func newSecond(tell slog.Handler) *second { return &second{tell: tell, seen: make(map[line]int)} }

// admit counts a line and reports whether it is to be written.
func (s *second) admit(level slog.Level, message string) bool {
	s.mu.Lock()
	now := time.Now()
	var told []leftOut
	if now.Sub(s.began) >= time.Second {
		told = s.end()
		s.began = now
	}
	l := line{level, message}
	n, known := s.seen[l]
	if !known && len(s.seen) >= mostMessages {
		l.message = otherLines
		n = s.seen[l]
	}
	n++
	s.seen[l] = n
	most := bound(level)
	if n == most+1 {
		s.over++
		if s.pending == nil {
			s.pending = time.AfterFunc(s.began.Add(time.Second).Sub(now), s.flush)
		}
	}
	s.mu.Unlock()
	s.report(told)
	return n <= most
}

func bound(level slog.Level) int {
	if level < slog.LevelInfo {
		return mostDebugLines
	}
	return mostLines
}

// end forgets the lines of the second and returns what was left out. The caller holds mu.
func (s *second) end() (told []leftOut) {
	if s.over > 0 {
		for l, n := range s.seen {
			if most := bound(l.level); n > most {
				told = append(told, leftOut{l, n - most})
			}
		}
	}
	clear(s.seen)
	s.over = 0
	if s.pending != nil {
		s.pending.Stop()
		s.pending = nil
	}
	return told
}

// flush ends the second and tells what was left out.
func (s *second) flush() {
	s.mu.Lock()
	told := s.end()
	s.began = time.Time{}
	s.mu.Unlock()
	s.report(told)
}

func (s *second) report(told []leftOut) {
	ctx := context.Background()
	for _, t := range told {
		if !s.tell.Enabled(ctx, t.level) {
			continue
		}
		r := slog.NewRecord(time.Now(), t.level, "lines were left out", 0)
		r.AddAttrs(slog.String("line", t.message), slog.Int("left_out", t.times))
		_ = s.tell.Handle(ctx, r) // a log that cannot be written to is nothing that could be logged
	}
}
