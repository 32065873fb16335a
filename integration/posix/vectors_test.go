package posix

import (
	"testing"

	"golang.org/x/sys/unix"
)

// rwf are the flags of preadv2(2) and pwritev2(2), and one that is unknown. RWF_NOWAIT has a test of its own: FUSE has it not.
func rwf() []flag {
	return []flag{
		{"none", 0}, {"HIPRI", 1}, {"DSYNC", 2}, {"SYNC", 4}, {"DSYNC|SYNC", 6}, {"APPEND", 0x10}, {"APPEND|SYNC", 0x14}, {"NOAPPEND", 0x20},
		{"APPEND|NOAPPEND", 0x30}, {"ATOMIC", 0x40}, {"unknown", 1 << 20}, {"all", 0x7fffffff},
	}
}

// vectors are buffers of sizes by name.
func vectors() map[string][][]byte {
	many := func(n int) (all [][]byte) {
		for range n {
			all = append(all, []byte("abc"))
		}
		return all
	}
	return map[string][][]byte{
		"no vector": nil, "an empty one": {{}}, "one": {[]byte("0123456789")}, "three": {[]byte("01"), {}, []byte("23456789")},
		"the most": many(1024), "too many": many(1025),
	}
}

// Vectors are read and written at each place with each flag as on a local disk, and move the offset where that does.
func TestVectorsAndTheirFlags(t *testing.T) {
	places := map[string]int64{"start": 0, "current": -1, "negative": -2, "across the end": patternBytes - 5, "end": patternBytes, "beyond": patternBytes + 10000, "last": 1<<63 - 1}
	var deeds []deed[int]
	for _, f := range rwf() {
		for vector, v := range vectors() {
			for place, off := range places {
				if vector != "one" && place != "across the end" && place != "current" {
					continue
				}
				title := sprint("%s of %s at %s", f.name, vector, place)
				deeds = append(deeds, deed[int]{"read " + title, func(fd int) (string, error) { return counted(unix.Preadv2(fd, blank(v), off, f.bits)) }})
				deeds = append(deeds, deed[int]{"write " + title, func(fd int) (string, error) { return counted(unix.Pwritev2(fd, v, off, f.bits)) }})
			}
		}
	}
	compareEach(t, func(t *testing.T, dir string) lines { return onPatterns(t, dir, deeds) })
}

// blank is as much room as v has.
func blank(v [][]byte) (room [][]byte) {
	for _, b := range v {
		room = append(room, make([]byte, len(b)))
	}
	return room
}
