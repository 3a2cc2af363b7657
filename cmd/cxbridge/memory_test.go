package main

import (
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
)

// heapGoal is the size of the heap at which the garbage collector runs next.
func heapGoal() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func TestTheCollectorRunsLessOftenUnlessTheOperatorDecides(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	without := heapGoal()
	release := keepHeadroom()
	with := heapGoal()
	release()
	if with < without+headroom {
		t.Errorf("the collector runs at %d bytes, and at %d without", with, without)
	}
	t.Setenv("GOGC", "100")
	release = keepHeadroom()
	defer release()
	if decided := heapGoal(); decided >= with {
		t.Errorf("the collector runs at %d bytes although GOGC is set, and at %d without", decided, with)
	}
}
