package subjects

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestATimeIsWrittenAsFormatWritesIt(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // times to try, the same in each run
	times := []time.Time{
		time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(-1, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(2026, 11, 22, 12, 0, 0, 7e6, time.FixedZone("", -5*3600)), time.Unix(0, 999999).UTC(),
	}
	for range 10000 {
		times = append(times, time.Unix(random.Int64N(4e9)-1e9, random.Int64N(1e9)))
	}
	for _, at := range times {
		if got, want := (Time{at}).String(), at.UTC().Format(timeForm); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := (Time{}).String(); got != "" {
		t.Errorf("a zero time is %q", got)
	}
}

func BenchmarkTime(b *testing.B) {
	at := Time{time.Date(2026, 11, 22, 12, 34, 56, 789e6, time.Local)}
	b.ReportAllocs()
	for b.Loop() {
		_ = at.String()
	}
}
