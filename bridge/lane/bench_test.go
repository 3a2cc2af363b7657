package lane

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

// BenchmarkJobs measures what the lanes add to a job that does nothing.
func BenchmarkJobs(b *testing.B) {
	for _, lanes := range []int{1, 1_000, 50_000} {
		b.Run(fmt.Sprintf("lanes=%d", lanes), func(b *testing.B) {
			keys := make([]string, lanes)
			for i := range keys {
				keys[i] = fmt.Sprintf("conversation/%d", i)
			}
			ctx, cancel := context.WithCancel(context.Background())
			l := New(64)
			var jobs, run sync.WaitGroup
			run.Go(func() {
				if err := l.Run(ctx); err != nil {
					b.Error(err)
				}
			})
			step := func(context.Context) (time.Duration, bool) { jobs.Done(); return 0, true }
			b.ReportAllocs()
			for i := range b.N {
				jobs.Add(1)
				l.Submit(keys[i%lanes], step)
			}
			jobs.Wait()
			cancel()
			run.Wait()
		})
	}
}

// BenchmarkHeld measures the memory of jobs that are held: 500,000 in 50,000
// lanes, all of which wait for another attempt.
func BenchmarkHeld(b *testing.B) {
	const lanes, perLane = 50_000, 10
	keys := make([]string, lanes)
	for i := range keys {
		keys[i] = fmt.Sprintf("conversation/%d", i)
	}
	for range b.N {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ctx, cancel := context.WithCancel(context.Background())
		l := New(64)
		var begun, run sync.WaitGroup
		begun.Add(lanes)
		step := func(context.Context) (time.Duration, bool) { begun.Done(); return time.Hour, false }
		for i := range lanes * perLane {
			l.Submit(keys[i%lanes], step)
		}
		run.Go(func() {
			if err := l.Run(ctx); err != nil {
				b.Error(err)
			}
		})
		begun.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(lanes*perLane), "B/job")
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/lanes, "B/lane")
		cancel()
		run.Wait()
	}
}
