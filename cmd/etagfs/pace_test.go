package main

import "testing"

func TestCollectionsAreRarerWhileLittleMemoryIsInUse(t *testing.T) {
	for _, test := range []struct {
		liveBytes uint64
		percent   int
	}{
		{0, percentMax},
		{1 << 20, percentMax},
		{12 << 20, 400},
		{16 << 20, 300},
		{25 << 20, 150},
		{48 << 20, percentMin},
		{1 << 40, percentMin},
	} {
		if got := percentFor(test.liveBytes); got != test.percent {
			t.Errorf("%d bytes in use: %d %%, want %d", test.liveBytes, got, test.percent)
		}
	}
}
