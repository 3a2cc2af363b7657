package main

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// quantile returns the q-quantile of values, 0 if there are none.
func quantile[T int64 | float64 | time.Duration](values []T, q float64) T {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// median returns the middle of values, NaN if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// spread writes values as their median and their range.
func spread(values []float64) string {
	if len(values) == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median(values), slices.Min(values), slices.Max(values))
}

// noisy is the share of the machine taken by others above which a measurement is left out, as long as enough others are left.
const noisy = 0.10

// quiet returns the indexes of the rounds in which neither measurement was disturbed; all of them if those are too few.
func quiet(rounds int, foreign func(round int) float64) []int {
	var calm, all []int
	for i := range rounds {
		all = append(all, i)
		if foreign(i) <= noisy {
			calm = append(calm, i)
		}
	}
	if len(calm)*2 < rounds || len(calm) == 0 {
		return all
	}
	return calm
}

func pick(rounds []int, of func(round int) float64) (values []float64) {
	for _, i := range rounds {
		values = append(values, of(i))
	}
	return values
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func megabytes(n int64) float64 { return float64(n) / (1 << 20) }

// perOne is the CPU time for one of n, in microseconds.
func perOne(d time.Duration, n int64) float64 {
	return float64(d) / float64(time.Microsecond) / float64(max(n, 1))
}
