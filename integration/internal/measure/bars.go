package measure

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
)

// Cell is a row on a subject.
type Cell struct{ Row, Subject string }

// At is the cell of a row on a subject.
func At(row, subject string) Cell { return Cell{row, subject} }

// Values has one value per round for each cell; NaN: not measured.
type Values map[Cell][]float64

// Bar is a number the project wants to reach: a row on a subject, by default divided by another of
// the same round, and what it may be.
type Bar struct {
	Text      string
	Value     Cell
	Reference Cell // zero: the value itself
	Limit     float64
	AtLeast   bool // false: at most
	Unit      Unit
}

// RatioAtMost is a bar for value / reference.
func RatioAtMost(text string, value, reference Cell, limit float64) Bar {
	return Bar{Text: text, Value: value, Reference: reference, Limit: limit, Unit: Ratio}
}

// RatioAtLeast is a bar for value / reference.
func RatioAtLeast(text string, value, reference Cell, limit float64) Bar {
	return Bar{Text: text, Value: value, Reference: reference, Limit: limit, AtLeast: true, Unit: Ratio}
}

// Verdict is a bar beside what was measured.
type Verdict struct {
	Known    bool // false: not measured in this run
	Measured Summary
	Met      bool
}

// Judge compares the median with the limit.
func (b Bar) Judge(values Values) Verdict {
	measured := values[b.Value]
	if b.Reference != (Cell{}) {
		measured = Pairwise(measured, values[b.Reference])
	}
	v := Verdict{Measured: Summarize(measured)}
	v.Known = v.Measured.N > 0
	v.Met = v.Known && (b.AtLeast && v.Measured.Median >= b.Limit || !b.AtLeast && v.Measured.Median <= b.Limit)
	return v
}

func (b Bar) limitText() string {
	if b.AtLeast {
		return "at least " + b.Unit.Format(b.Limit)
	}
	return "at most " + b.Unit.Format(b.Limit)
}

func (v Verdict) text(u Unit) string {
	if !v.Known {
		return "-"
	}
	return u.FormatAll(v.Measured)
}

// String is the verdict in a word or two.
func (v Verdict) String() string {
	switch {
	case !v.Known:
		return "not measured"
	case v.Met:
		return "met"
	default:
		return "missed"
	}
}

// PrintBars prints which bars are met, as a table or as one JSON object each, and counts those that are not.
func PrintBars(out io.Writer, asJSON bool, bars []Bar, values Values) (missed int, err error) {
	encoder := json.NewEncoder(out)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if !asJSON {
		fmt.Fprintln(table, "bar\tlimit\tmeasured (least..most)\t")
	}
	for _, b := range bars {
		v := b.Judge(values)
		if v.Known && !v.Met {
			missed++
		}
		switch {
		case !asJSON:
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", b.Text, b.limitText(), v.text(b.Unit), v)
		case v.Known:
			object := map[string]any{"bar": b.Text, "limit": b.Limit, "measured": v.Measured.Median,
				"least": v.Measured.Least, "most": v.Measured.Most, "met": v.Met}
			if err := encoder.Encode(object); err != nil {
				return missed, err
			}
		}
	}
	return missed, table.Flush()
}
