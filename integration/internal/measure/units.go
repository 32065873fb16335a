package measure

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Unit says what the values of a row are.
type Unit uint8

// The units.
const (
	Seconds   Unit = iota // per operation; less is better
	PerSecond             // more is better
	Bytes                 // less is better
	Ratio                 // of bars
)

// String names the unit.
func (u Unit) String() string {
	switch u {
	case PerSecond:
		return "/s"
	case Bytes:
		return "bytes"
	case Ratio:
		return "ratio"
	default:
		return "seconds"
	}
}

// Format is v as people write it, with three digits.
func (u Unit) Format(v float64) string {
	switch u {
	case PerSecond:
		return Significant(v) + " /s"
	case Bytes:
		return Significant(v/1e6) + " MB"
	case Ratio:
		return Significant(v)
	}
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 1e-3:
		return Significant(v*1e6) + " us"
	case v < 1:
		return Significant(v*1e3) + " ms"
	default:
		return Significant(v) + " s"
	}
}

// FormatAll is the median and, in brackets, how far the rounds spread.
func (u Unit) FormatAll(s Summary) string {
	return fmt.Sprintf("%s (%s..%s)", u.Format(s.Median), u.Format(s.Least), u.Format(s.Most))
}

// Significant is v with three digits, or all of those before the point.
func Significant(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	text := strconv.FormatFloat(v, 'f', max(0, decimals(v)), 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

// decimals is how many digits after the point make three of v.
func decimals(v float64) int { return 2 - int(math.Floor(math.Log10(math.Abs(v)))) }
