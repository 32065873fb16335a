package measure

import (
	"math"
	"slices"
	"testing"
)

func TestSummarize(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"odd", []float64{3, 1, 2}, Summary{2, 1, 3, 3}},
		{"even", []float64{4, 1, 2, 3}, Summary{2.5, 1, 4, 4}},
		{"one", []float64{7}, Summary{7, 7, 7, 1}},
		{"what was not measured is left out", []float64{nan, 5, nan, 7, 6}, Summary{6, 5, 7, 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.values)
			if got := Summarize(c.values); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			if !slices.EqualFunc(c.values, before, func(a, b float64) bool { return a == b || a != a && b != b }) {
				t.Errorf("the values were changed to %v", c.values)
			}
		})
	}
	if s := Summarize([]float64{nan}); s.N != 0 || !math.IsNaN(s.Median) {
		t.Errorf("nothing measured gives %+v", s)
	}
}

// The ratio of medians would be 1 here: pairs keep what a round had in common.
func TestRatiosAreFormedRoundByRound(t *testing.T) {
	ratios := Pairwise([]float64{10, 40, 20}, []float64{5, 20, 10})
	if !slices.Equal(ratios, []float64{2, 2, 2}) {
		t.Errorf("got %v", ratios)
	}
	if s := Summarize(Pairwise([]float64{1, math.NaN(), 9}, []float64{2, 4, 3})); s != (Summary{1.75, 0.5, 3, 2}) {
		t.Errorf("with a gap: %+v", s)
	}
}

func TestQuantile(t *testing.T) {
	var hundred []int
	for i := range 100 {
		hundred = append(hundred, 100-i)
	}
	for q, want := range map[float64]int{0: 1, 0.01: 1, 0.5: 50, 0.99: 99, 1: 100} {
		if got := Quantile(hundred, q); got != want {
			t.Errorf("quantile %v of 1 to 100 is %d, want %d", q, got, want)
		}
	}
	if got := Quantile([]int{5}, 0.99); got != 5 {
		t.Errorf("of a single value: %d", got)
	}
}
