package main

import (
	"fmt"
	"image/color"
	"math"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// plotted are the subjects that are drawn, in this order, each in a color of its own.
func plotted() []string { return []string{loopbackName, etagfsName, s3fsName, rcloneName} }

func plotColors() []color.Color {
	return []color.Color{
		color.NRGBA{0x88, 0x88, 0x88, 0xff}, color.NRGBA{0x00, 0x5f, 0xb8, 0xff},
		color.NRGBA{0xc4, 0x5a, 0x11, 0xff}, color.NRGBA{0x3a, 0x8a, 0x3a, 0xff},
	}
}

// drawRatios draws the median of every row against native: a line for each row, a point for each subject.
func drawRatios(file string, rows []string, values measure.Values, machine string) error {
	p := plot.New()
	p.Title.Text = "Time of one operation, native filesystem = 1 (less is better)"
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = machine
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.X.Min, p.X.Max = 0.5, 2
	p.Legend.Top = true
	for i, subject := range plotted() {
		points := ratioPoints(rows, subject, values)
		if len(points) == 0 {
			continue
		}
		for _, xy := range points {
			p.X.Min, p.X.Max = math.Min(p.X.Min, xy.X), math.Max(p.X.Max, xy.X)
		}
		scatter, err := plotter.NewScatter(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", subject, err)
		}
		scatter.GlyphStyle = draw.GlyphStyle{Color: plotColors()[i], Radius: vg.Points(3.5), Shape: draw.CircleGlyph{}}
		p.Add(scatter)
		p.Legend.Add(subject, scatter)
	}
	native, err := plotter.NewLine(plotter.XYs{{X: 1, Y: -0.5}, {X: 1, Y: float64(len(rows)) - 0.5}})
	if err != nil {
		return fmt.Errorf("draw: %w", err)
	}
	p.Add(plotter.NewGrid(), native)
	p.NominalY(reversed(rows)...)
	return save(p, file, vg.Length(len(rows))*vg.Points(17)+vg.Points(90))
}

// ratioPoints are the medians of a subject's ratios to native. The first row is at the top.
func ratioPoints(rows []string, subject string, values measure.Values) (points plotter.XYs) {
	for i, row := range rows {
		s := measure.Summarize(measure.Pairwise(values[measure.At(row, subject)], values[measure.At(row, nativeName)]))
		if s.N > 0 && s.Median > 0 {
			points = append(points, plotter.XY{X: s.Median, Y: float64(len(rows) - 1 - i)})
		}
	}
	return points
}

func reversed(rows []string) []string {
	var out []string
	for i := len(rows) - 1; i >= 0; i-- {
		out = append(out, rows[i])
	}
	return out
}

// drawScale draws what a mount takes for a store of so many files.
func drawScale(file string, stages []stage, machine string) error {
	p := plot.New()
	p.Title.Text = "A store that grows: microseconds of an operation, milliseconds of a mount"
	p.Title.Padding = vg.Points(8)
	p.X.Label.Text = "files in the store; " + machine
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min = 0
	p.Legend.Top, p.Legend.Left = true, true
	for i, line := range []struct {
		name  string
		value func(stage) float64
	}{
		{"lookup, us", func(s stage) float64 { return s.lookup.Median * 1e6 }},
		{"create+write+close, us", func(s stage) float64 { return s.create.Median * 1e6 }},
		{"mount, ms", func(s stage) float64 { return s.mounted.Seconds() * 1e3 }},
		{"first entries of a tenth in one directory, ms", func(s stage) float64 { return s.first.Seconds() * 1e3 }},
	} {
		var points plotter.XYs
		for _, s := range stages {
			points = append(points, plotter.XY{X: float64(s.files), Y: line.value(s)})
		}
		l, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", line.name, err)
		}
		l.Color, dots.Color = plotColors()[i], plotColors()[i]
		p.Add(l, dots)
		p.Legend.Add(line.name, l, dots)
	}
	p.Add(plotter.NewGrid())
	return save(p, file, vg.Points(300))
}

func save(p *plot.Plot, file string, height vg.Length) error {
	if err := p.Save(vg.Points(640), height, file); err != nil {
		return fmt.Errorf("draw %s: %w", strconv.Quote(file), err)
	}
	return nil
}

// timedRows are the rows measured on native and something else, in the order of the tables.
func timedRows(b *bench, values measure.Values) (rows []string) {
	for _, s := range b.tables()[0].scenarios {
		for _, row := range s.rows() {
			if len(values[measure.At(row.name, nativeName)]) > 0 {
				rows = append(rows, row.name)
			}
		}
	}
	return rows
}
