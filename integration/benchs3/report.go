package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// peers are those that etagfs must not be slower than.
func peers() []string { return []string{minioName, versitygwName} }

// report prints a line per row and server.
func (b *bench) report(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "row\tserver\trate\tleast..most\tCPU per request\tleast..most\tetagfs vs it\tCPU vs it")
	for _, shape := range b.sizes.shapes {
		for _, op := range operations() {
			b.reportRow(table, shape.row(op))
		}
	}
	for _, row := range []string{rowSyncsPlain, rowSyncsAbsent, rowSyncsMatch} {
		name := row
		for _, s := range b.servers {
			if v := measure.Summarize(b.values[measure.At(row, s.name)]); v.N > 0 {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, s.name, measure.Ratio.Format(v.Median), spread(measure.Ratio, v))
				name = ""
			}
		}
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintln(out)
	return err
}

func (b *bench) reportRow(table io.Writer, row string) {
	name := row
	ours, oursCPU := b.values[measure.At(row, etagfsName)], b.values[measure.At(rowCPU(row), etagfsName)]
	for _, s := range b.servers {
		values, cpu := b.values[measure.At(row, s.name)], b.values[measure.At(rowCPU(row), s.name)]
		rate, used := measure.Summarize(values), measure.Summarize(cpu)
		if rate.N == 0 || s.name == fileServerName && !strings.HasPrefix(row, opGet) && !strings.HasPrefix(row, opHead) {
			continue
		}
		line := []string{name, s.name, measure.PerSecond.Format(rate.Median), spread(measure.PerSecond, rate),
			measure.Seconds.Format(used.Median), spread(measure.Seconds, used), "", ""}
		if s.name != etagfsName {
			line[6] = measure.Ratio.Format(measure.Summarize(measure.Pairwise(ours, values)).Median)
			line[7] = measure.Ratio.Format(measure.Summarize(measure.Pairwise(oursCPU, cpu)).Median)
		}
		fmt.Fprintln(table, strings.Join(line, "\t"))
		name = ""
	}
}

func spread(u measure.Unit, s measure.Summary) string {
	return u.Format(s.Least) + ".." + u.Format(s.Most)
}

// bars are the project's.
func (b *bench) bars() (bars []measure.Bar) {
	ours := func(row string) measure.Cell { return measure.At(row, etagfsName) }
	for _, s := range b.sizes.shapes {
		for _, op := range operations() {
			row := s.row(op)
			if s.bytes == small && s.clients > 1 && op == opPut {
				bars = append(bars, measure.RatioAtLeast(row+", against MinIO", ours(row), measure.At(row, minioName), 3))
			}
			if s.bytes == small && (op == opGet || op == opHead) {
				bars = append(bars, measure.RatioAtMost(rowCPU(row)+", against the better", ours(rowCPU(row)), b.least(rowCPU(row)), 0.5))
			}
			if s.bytes == large && op == opGet {
				bars = append(bars, measure.RatioAtLeast(row+", against net/http", ours(row), measure.At(row, fileServerName), 0.8))
			}
			bars = append(bars, measure.RatioAtLeast(row+", against the better", ours(row), b.most(row), 1))
		}
	}
	for _, row := range []string{rowSyncsAbsent, rowSyncsMatch} {
		bars = append(bars, measure.RatioAtMost(row+", against without", ours(row), ours(rowSyncsPlain), 1))
	}
	memory := rowUploads(b.sizes)
	return append(bars, measure.Bar{Text: memory, Value: ours(memory), Limit: 256e6, Unit: measure.Bytes})
}

// least is the peer with the least median of a row, and most the one with the most.
func (b *bench) least(row string) measure.Cell { return b.ranked(row)[0] }
func (b *bench) most(row string) measure.Cell  { return b.ranked(row)[len(peers())-1] }

func (b *bench) ranked(row string) (cells []measure.Cell) {
	for _, name := range peers() {
		cells = append(cells, measure.At(row, name))
	}
	median := func(c measure.Cell) float64 { return measure.Summarize(b.values[c]).Median }
	slices.SortFunc(cells, func(x, y measure.Cell) int {
		if median(x) < median(y) {
			return -1
		}
		return 1
	})
	return cells
}
