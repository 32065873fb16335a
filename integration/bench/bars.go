package main

import "github.com/etagfs/etagfs/integration/internal/measure"

// bars of the embedded store on one machine.
func bars() []measure.Bar {
	etagfs := func(row string) measure.Cell { return measure.At(row, etagfsName) }
	loopback := func(row string) measure.Cell { return measure.At(row, loopbackName) }
	durable64 := rowPuts(true, 64)
	bars := []measure.Bar{
		measure.RatioAtMost(rowCreate+" against loopback", etagfs(rowCreate), loopback(rowCreate), 1),
		measure.RatioAtMost(rowCreateThreads+" against loopback", etagfs(rowCreateThreads), loopback(rowCreateThreads), 1),
		measure.RatioAtMost(rowOverwrite+" against loopback", etagfs(rowOverwrite), loopback(rowOverwrite), 1),
		measure.RatioAtMost(rowBigWrite+" against loopback", etagfs(rowBigWrite), loopback(rowBigWrite), 1.2),
		measure.RatioAtMost("big: first edits against rewriting", etagfs(rowEditFirst), etagfs(rowBigWrite), 1.0/50),
		measure.RatioAtMost("big: last edits against first", etagfs(rowEditLast), etagfs(rowEditFirst), 1.5),
		measure.RatioAtMost("rename of a large directory against a small one", etagfs(rowRenameLarge), etagfs(rowRenameSmall), 1.5),
		measure.RatioAtLeast(durable64+" against plain Badger, server", measure.At(durable64, storeName), measure.At(durable64, badgerName), 4),
		measure.RatioAtLeast(durable64+" against plain Badger, mount", measure.At(durable64, storeMountName), measure.At(durable64, badgerName), 4),
		measure.RatioAtMost("close, 99th percentile, beside fsync loops against without", etagfs(rowCloseLoaded), etagfs(rowCloseQuiet), 3),
	}
	for _, row := range memoryRows() {
		bars = append(bars, measure.Bar{Text: row.name, Value: etagfs(row.name), Limit: 40e6, Unit: measure.Bytes})
	}
	return bars
}
