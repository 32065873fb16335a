package main

import "github.com/etagfs/etagfs/integration/internal/measure"

// bars of the embedded store on one machine.
func bars() []measure.Bar {
	etagfs := func(row string) measure.Cell { return measure.At(row, etagfsName) }
	durable64 := rowPuts(true, 64)
	bars := append(loopbackBars(), nativeBars()...)
	bars = append(bars,
		measure.RatioAtMost(rowBigWrite+" against loopback", etagfs(rowBigWrite), measure.At(rowBigWrite, loopbackName), 1.2),
		measure.RatioAtMost("big: first edits against rewriting", etagfs(rowEditFirst), etagfs(rowBigWrite), 1.0/50),
		measure.RatioAtMost("big: last edits against first", etagfs(rowEditLast), etagfs(rowEditFirst), 1.5),
		measure.RatioAtMost("rename of a large directory against a small one", etagfs(rowRenameLarge), etagfs(rowRenameSmall), 1.5),
		measure.RatioAtLeast(durable64+" against plain Badger, server", measure.At(durable64, storeName), measure.At(durable64, badgerName), 4),
		measure.RatioAtLeast(durable64+" against plain Badger, mount", measure.At(durable64, storeMountName), measure.At(durable64, badgerName), 4),
		measure.RatioAtMost("close, 99th percentile, beside fsync loops against without", etagfs(rowCloseLoaded), etagfs(rowCloseQuiet), 3),
	)
	for _, row := range memoryRows() {
		bars = append(bars, measure.Bar{Text: row.name, Value: etagfs(row.name), Limit: 40e6, Unit: measure.Bytes})
	}
	return bars
}

// loopbackBars say how many times faster than loopback a row is to be.
func loopbackBars() (bars []measure.Bar) {
	for _, b := range []struct {
		row   string
		times float64
	}{
		{rowCreate, 2}, {rowCreateThreads, 1}, {rowOverwrite, 2},
		{rowReadBeyond, 3}, {rowReadWithin, 1.5}, {rowStatBeyond, 10}, {rowStatWithin, 1},
		{rowUntar, 1.5}, {rowGitAdd, 1.5}, {rowGitStatus, 3},
		{rowUnlink, 1}, {rowRename, 1}, {rowBigWrites, 1}, {rowSQLite, 1}, {rowBuild, 1},
	} {
		bars = append(bars, measure.RatioAtMost(b.row+" against loopback", measure.At(b.row, etagfsName), measure.At(b.row, loopbackName), 1/b.times))
	}
	return bars
}

// nativeBars say how much more time than the native filesystem a row may take.
func nativeBars() (bars []measure.Bar) {
	for _, b := range []struct {
		row   string
		ratio float64
	}{
		{rowBigWrite, 1 / 0.9}, {rowBigCold, 1 / 0.9}, {rowBigAgain, 1 / 0.9}, {rowBigRandom, 1 / 0.9},
		{rowStatWithin, 1.3}, {rowFstat, 1.3}, {rowPread, 1.3}, {rowListFirst, 1.5}, {rowListAgain, 1.5},
	} {
		bars = append(bars, measure.RatioAtMost(b.row+" against native", measure.At(b.row, etagfsName), measure.At(b.row, nativeName), b.ratio))
	}
	return bars
}
