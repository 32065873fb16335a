package main

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// summary is what is printed of one value per round.
type summary struct {
	median, least, most float64
	n                   int
}

// summarize leaves out what was not measured (NaN).
func summarize(values []float64) summary {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(known) == 0 {
		return summary{median: math.NaN(), least: math.NaN(), most: math.NaN()}
	}
	slices.Sort(known)
	middle := len(known) / 2
	median := known[middle]
	if len(known)%2 == 0 {
		median = (known[middle-1] + known[middle]) / 2
	}
	return summary{median: median, least: known[0], most: known[len(known)-1], n: len(known)}
}

// pairwise divides values by references of the same round. A round that lacks
// either has no ratio.
func pairwise(values, references []float64) []float64 {
	ratios := make([]float64, min(len(values), len(references)))
	for round := range ratios {
		ratios[round] = values[round] / references[round]
	}
	return ratios
}

// quantile is the least of the values that at least the share q of them does not exceed.
func quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank-1, 0), len(sorted)-1)]
}

func seconds(d time.Duration) float64 { return d.Seconds() }
