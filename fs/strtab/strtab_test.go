package strtab

import (
	"strings"
	"testing"
)

// Whatever its length, a copy is what it was made of, also after others have come.
func TestCopiesStayWhatTheyWere(t *testing.T) {
	var table Table
	all := strings.Repeat("0123456789", blockBytes/2)
	lengths := []int{0, 1, 100, blockBytes - 1, blockBytes, blockBytes + 1, 0, 5, len(all), 1}
	var copies []string
	for _, n := range lengths {
		copies = append(copies, table.Copy(all[:n]))
	}
	for i, n := range lengths {
		if copies[i] != all[:n] {
			t.Errorf("copy %d, of %d bytes, is %d bytes and another string", i, n, len(copies[i]))
		}
	}
}

// A thousand short strings take a few blocks, not a thousand allocations.
func TestCopiesShareBlocks(t *testing.T) {
	const strings, length = 1000, 16
	made := testing.AllocsPerRun(10, func() {
		var table Table
		for range strings {
			table.Copy("sixteen bytes ..")
		}
	})
	if most := float64(strings*length/blockBytes + 1); made > most {
		t.Errorf("%v allocations for %d bytes, want %v at most", made, strings*length, most)
	}
}
