package lane

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestOldestTellsWhatWaitsTheLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(1)
		ctx, cancel := context.WithCancel(t.Context())
		var ended = make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		begun := time.Now()
		again := func(context.Context) (time.Duration, bool) { return time.Minute, false }
		for _, key := range []string{"a", "b", "b"} {
			l.Submit(key, again)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		heads := l.Oldest(10)
		if len(heads) != 2 || heads[0].Key != "a" || heads[1].Key != "b" || heads[1].Jobs != 2 {
			t.Fatalf("heads = %+v", heads)
		}
		if h := heads[0]; h.Running || !h.Since.Equal(begun) || !h.WakeAt.Equal(begun.Add(time.Minute)) {
			t.Errorf("head = %+v", h)
		}
		if heads := l.Oldest(1); len(heads) != 1 || heads[0].Key != "a" {
			t.Errorf("the oldest = %+v", heads)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if heads := l.Oldest(5); len(heads) != 0 {
			t.Errorf("after the end: %+v", heads)
		}
	})
}
