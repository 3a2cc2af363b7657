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

func unset(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Setenv(name, "")
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheCollectorRunsLessOftenUnlessTheOperatorDecides(t *testing.T) {
	unset(t, "GOGC", "GOMEMLIMIT")
	without := heapGoal()
	release := tuneCollector()
	with := heapGoal()
	release()
	if with < without+headroom {
		t.Errorf("the collector runs at %d bytes, and at %d without", with, without)
	}
	t.Setenv("GOGC", "100")
	release = tuneCollector()
	defer release()
	if decided := heapGoal(); decided >= with {
		t.Errorf("the collector runs at %d bytes although GOGC is set, and at %d without", decided, with)
	}
}

func TestTheCollectorRunsMoreOftenWhenMuchMemoryIsUsed(t *testing.T) {
	unset(t, "GOGC", "GOMEMLIMIT")
	used := make([]byte, 8*headroom)
	without := heapGoal()
	release := tuneCollector()
	with := heapGoal() - headroom // which takes no memory
	release()
	runtime.KeepAlive(used)
	if with > without-headroom {
		t.Errorf("the collector runs at %d bytes, and at %d without", with, without)
	}
}
