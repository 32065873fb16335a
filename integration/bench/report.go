package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// report prints results as they come.
type report struct {
	out  io.Writer
	json bool
}

// rows prints the rows of one scenario.
func (p report) rows(title, about string, rows []row, subjects, references []string, r *results) error {
	if p.json {
		return p.objects(rows, subjects, r)
	}
	fmt.Fprintf(p.out, "%s: %s\n\n", title, about)
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "row\tsubject\tmedian\tleast..most")
	for _, reference := range references {
		fmt.Fprintf(table, "\tvs %s", reference)
	}
	fmt.Fprintln(table, "\trequests")
	for _, row := range rows {
		name := row.name
		for _, subject := range subjects {
			c := cell{row.name, subject}
			if !r.measured(c) {
				continue
			}
			fmt.Fprintln(table, strings.Join(p.line(name, c, row.unit, references, r), "\t"))
			name = ""
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(p.out)
	return p.requests(rows, subjects, r)
}

func (p report) line(name string, c cell, u unit, references []string, r *results) []string {
	s := summarize(r.values[c])
	line := []string{name, c.subject, u.format(s.median), u.format(s.least) + ".." + u.format(s.most)}
	comparable := true
	for _, reference := range references {
		comparable = comparable && c.subject != reference // references are compared with those before them
		ratio := "-"
		if comparable {
			ratio = ratioText(r.values[c], r.values[cell{c.row, reference}])
		}
		line = append(line, ratio)
	}
	requests := "-"
	if counts, ok := r.requests[c]; ok {
		requests = significant(counts.synchronous())
	}
	return append(line, requests)
}

func ratioText(values, references []float64) string {
	s := summarize(pairwise(values, references))
	if s.n == 0 {
		return "-"
	}
	return unitRatio.formatAll(s)
}

// formatAll is the median and, in brackets, how far the rounds spread.
func (u unit) formatAll(s summary) string {
	return fmt.Sprintf("%s (%s..%s)", u.format(s.median), u.format(s.least), u.format(s.most))
}

// requests lists which requests an operation takes.
func (p report) requests(rows []row, subjects []string, r *results) error {
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	counted := false
	for _, row := range rows {
		for _, subject := range subjects {
			counts := r.requests[cell{row.name, subject}]
			if len(counts) == 0 {
				continue
			}
			counted = true
			var list []string
			for _, name := range counts.names() {
				list = append(list, name+" "+significant(counts[name]))
			}
			fmt.Fprintf(table, "requests of %s\t%s\t%s\n", row.name, subject, strings.Join(list, ", "))
		}
	}
	if counted {
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// objects prints one JSON object per measurement; the counted requests are in round 0.
func (p report) objects(rows []row, subjects []string, r *results) error {
	type object struct {
		Row      string        `json:"row"`
		Subject  string        `json:"subject"`
		Round    int           `json:"round"`
		Unit     string        `json:"unit,omitempty"`
		Value    float64       `json:"value,omitempty"`
		Requests requestCounts `json:"requests,omitempty"`
	}
	encoder := json.NewEncoder(p.out)
	for _, row := range rows {
		for _, subject := range subjects {
			c := cell{row.name, subject}
			if counts := r.requests[c]; counts != nil {
				if err := encoder.Encode(object{Row: row.name, Subject: subject, Requests: counts}); err != nil {
					return err
				}
			}
			for i, value := range r.values[c] {
				if math.IsNaN(value) {
					continue
				}
				if err := encoder.Encode(object{Row: row.name, Subject: subject, Round: i + 1, Unit: row.unit.String(), Value: value}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// bars prints which bars are met, and counts those that are not.
func (p report) bars(bars []bar, r *results) (missed int, err error) {
	encoder := json.NewEncoder(p.out)
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	if !p.json {
		fmt.Fprintln(table, "bar\tlimit\tmeasured (least..most)\t")
	}
	for _, b := range bars {
		v := b.judge(r)
		if v.known && !v.met {
			missed++
		}
		switch {
		case !p.json:
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", b.text, b.limitText(), v.text(b.unit), v.word())
		case v.known:
			object := map[string]any{"bar": b.text, "limit": b.limit, "measured": v.measured.median,
				"least": v.measured.least, "most": v.measured.most, "met": v.met}
			if err := encoder.Encode(object); err != nil {
				return missed, err
			}
		}
	}
	return missed, table.Flush()
}

// String names the unit.
func (u unit) String() string {
	switch u {
	case unitPerSecond:
		return "/s"
	case unitBytes:
		return "bytes"
	case unitRatio:
		return "ratio"
	default:
		return "seconds"
	}
}

// format is v as people write it, with three digits.
func (u unit) format(v float64) string {
	switch u {
	case unitPerSecond:
		return strconv.FormatFloat(v, 'f', 0, 64) + " /s"
	case unitBytes:
		return significant(v/1e6) + " MB"
	case unitRatio:
		return significant(v)
	}
	switch {
	case math.IsNaN(v):
		return "-"
	case v < 1e-3:
		return significant(v*1e6) + " us"
	case v < 1:
		return significant(v*1e3) + " ms"
	default:
		return significant(v) + " s"
	}
}

// significant is v with three digits, or all of those before the point.
func significant(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(v)))))
	text := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text
}

func names(subjects []*subject) (names []string) {
	for _, s := range subjects {
		names = append(names, s.name)
	}
	return names
}

// asked keeps the rows that were asked for and measured or counted on anything.
func asked(rows []row, p plan, r *results) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(row row) bool {
		return !p.rows.MatchString(row.name) || !slices.ContainsFunc(r.cells(), func(c cell) bool { return c.row == row.name })
	})
}
