package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/etagfs/etagfs/integration/internal/measure"
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
			c := measure.At(row.name, subject)
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

func (p report) line(name string, c measure.Cell, u measure.Unit, references []string, r *results) []string {
	s := measure.Summarize(r.values[c])
	line := []string{name, c.Subject, u.Format(s.Median), u.Format(s.Least) + ".." + u.Format(s.Most)}
	comparable := true
	for _, reference := range references {
		comparable = comparable && c.Subject != reference // references are compared with those before them
		ratio := "-"
		if comparable {
			ratio = ratioText(r.values[c], r.values[measure.At(c.Row, reference)])
		}
		line = append(line, ratio)
	}
	requests := "-"
	if counts, ok := r.requests[c]; ok {
		requests = measure.Significant(counts.synchronous())
	}
	return append(line, requests)
}

func ratioText(values, references []float64) string {
	s := measure.Summarize(measure.Pairwise(values, references))
	if s.N == 0 {
		return "-"
	}
	return measure.Ratio.FormatAll(s)
}

// requests lists which requests an operation takes.
func (p report) requests(rows []row, subjects []string, r *results) error {
	table := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	counted := false
	for _, row := range rows {
		for _, subject := range subjects {
			counts := r.requests[measure.At(row.name, subject)]
			if len(counts) == 0 {
				continue
			}
			counted = true
			var list []string
			for _, name := range counts.names() {
				list = append(list, name+" "+measure.Significant(counts[name]))
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
			c := measure.At(row.name, subject)
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

func names(subjects []*subject) (names []string) {
	for _, s := range subjects {
		names = append(names, s.name)
	}
	return names
}

// asked keeps the rows that were asked for and measured or counted on anything.
func asked(rows []row, p plan, r *results) []row {
	return slices.DeleteFunc(slices.Clone(rows), func(row row) bool {
		return !p.rows.MatchString(row.name) || !slices.ContainsFunc(r.cells(), func(c measure.Cell) bool { return c.Row == row.name })
	})
}
