package measure

import (
	"cmp"
	"math"
	"slices"
)

// Summary is what is printed of one value per round.
type Summary struct {
	Median, Least, Most float64
	N                   int // rounds that had a value
}

// Summarize leaves out what was not measured (NaN).
func Summarize(values []float64) Summary {
	known := slices.DeleteFunc(slices.Clone(values), math.IsNaN)
	if len(known) == 0 {
		return Summary{Median: math.NaN(), Least: math.NaN(), Most: math.NaN()}
	}
	slices.Sort(known)
	middle := len(known) / 2
	median := known[middle]
	if len(known)%2 == 0 {
		median = (known[middle-1] + known[middle]) / 2
	}
	return Summary{Median: median, Least: known[0], Most: known[len(known)-1], N: len(known)}
}

// Pairwise divides values by references of the same round. A round that lacks
// either has no ratio.
func Pairwise(values, references []float64) []float64 {
	ratios := make([]float64, min(len(values), len(references)))
	for round := range ratios {
		ratios[round] = values[round] / references[round]
	}
	return ratios
}

// Quantile is the least of the values that at least the share q of them does not exceed.
func Quantile[T cmp.Ordered](values []T, q float64) T {
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank-1, 0), len(sorted)-1)]
}
