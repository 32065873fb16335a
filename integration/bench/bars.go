package main

import "math"

// bar is a number the project wants to reach: a row on a subject, by default
// divided by another of the same round, and what it may be.
type bar struct {
	text      string
	value     cell
	reference cell // zero: the value itself
	limit     float64
	atLeast   bool // false: at most
	unit      unit
}

// bars of the embedded store on one machine.
func bars() []bar {
	etagfs := func(row string) cell { return cell{row, etagfsName} }
	loopback := func(row string) cell { return cell{row, loopbackName} }
	durable64 := rowPuts(true, 64)
	bars := []bar{
		{rowCreate + " against loopback", etagfs(rowCreate), loopback(rowCreate), 1, false, unitRatio},
		{rowCreateThreads + " against loopback", etagfs(rowCreateThreads), loopback(rowCreateThreads), 1, false, unitRatio},
		{rowOverwrite + " against loopback", etagfs(rowOverwrite), loopback(rowOverwrite), 1, false, unitRatio},
		{rowBigWrite + " against loopback", etagfs(rowBigWrite), loopback(rowBigWrite), 1.2, false, unitRatio},
		{"big: first edits against rewriting", etagfs(rowEditFirst), etagfs(rowBigWrite), 1.0 / 50, false, unitRatio},
		{"big: last edits against first", etagfs(rowEditLast), etagfs(rowEditFirst), 1.5, false, unitRatio},
		{"rename of a large directory against a small one", etagfs(rowRenameLarge), etagfs(rowRenameSmall), 1.5, false, unitRatio},
		{durable64 + " against plain Badger, server", cell{durable64, storeName}, cell{durable64, badgerName}, 4, true, unitRatio},
		{durable64 + " against plain Badger, mount", cell{durable64, storeMountName}, cell{durable64, badgerName}, 4, true, unitRatio},
		{"close, 99th percentile, beside fsync loops against without", etagfs(rowCloseLoaded), etagfs(rowCloseQuiet), 3, false, unitRatio},
	}
	for _, row := range memoryRows() {
		bars = append(bars, bar{row.name, etagfs(row.name), cell{}, 40e6, false, unitBytes})
	}
	return bars
}

// verdict is a bar beside what was measured.
type verdict struct {
	known    bool // false: not measured in this run
	measured summary
	met      bool
}

func (b bar) judge(r *results) verdict {
	values := r.values[b.value]
	if b.reference != (cell{}) {
		values = pairwise(values, r.values[b.reference])
	}
	v := verdict{measured: summarize(values)}
	v.known = !math.IsNaN(v.measured.median)
	v.met = v.known && (b.atLeast && v.measured.median >= b.limit || !b.atLeast && v.measured.median <= b.limit)
	return v
}

func (b bar) limitText() string {
	if b.atLeast {
		return "at least " + b.unit.format(b.limit)
	}
	return "at most " + b.unit.format(b.limit)
}

func (v verdict) text(u unit) string {
	if !v.known {
		return "-"
	}
	return u.formatAll(v.measured)
}

func (v verdict) word() string {
	switch {
	case !v.known:
		return "not measured"
	case v.met:
		return "met"
	default:
		return "missed"
	}
}
