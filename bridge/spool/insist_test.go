package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
)

// TestAStartThatRanOutOfTimeIsTriedAgain, as a process that was frozen for a while finds all time used up.
func TestAStartThatRanOutOfTimeIsTriedAgain(t *testing.T) {
	t.Parallel()
	late, broken := fmt.Errorf("stream: %w", context.DeadlineExceeded), errors.New("no space left on device")
	for name, c := range map[string]struct {
		fails  []error
		starts int
		want   error
	}{
		"at once":      {nil, 1, nil},
		"frozen":       {[]error{late}, 2, nil},
		"frozen twice": {[]error{late, late}, 3, nil},
		"too slow":     {[]error{late, late, late, late}, 3, late},
		"broken":       {[]error{broken, nil}, 1, broken},
		"then broken":  {[]error{late, broken, nil}, 2, broken},
	} {
		s, starts := &Spool{log: slog.New(slog.DiscardHandler)}, 0
		opened, _, err := s.insist(t.Context(), func(context.Context) (*engine, Stats, error) {
			if starts++; starts <= len(c.fails) && c.fails[starts-1] != nil {
				return nil, Stats{}, c.fails[starts-1]
			}
			return &engine{}, Stats{}, nil
		})
		if starts != c.starts || !errors.Is(err, c.want) || (opened == nil) != (c.want != nil) {
			t.Errorf("%s: %d starts, %v", name, starts, err)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	starts := 0
	if _, _, err := (&Spool{}).insist(ended, func(context.Context) (*engine, Stats, error) { starts++; return nil, Stats{}, late }); starts != 1 || err == nil {
		t.Errorf("after its end: %d starts, %v", starts, err)
	}
}
