package mount

import (
	"slices"
	"strconv"
	"testing"
)

// Of many names a file is believed to have, any can go: it leads nowhere then, and all others still lead to the file, until they are taken.
func TestEntriesOfOneFileGoOneByOne(t *testing.T) {
	n := &node{id: 7}
	es, at := newEntries(), func(i int) name { return name{1, strconv.Itoa(i)} }
	const names = 100
	for i := range names {
		es.look(n, at(i))
		es.believe(n)
	}
	for i := range names {
		if i%3 == 0 {
			es.remove(at(i))
		}
	}
	var left []name
	for i := range names {
		if shown := es.at(at(i)); (shown == n) != (i%3 != 0) {
			t.Errorf("%v leads to %p", at(i), shown)
		} else if shown != nil {
			left = append(left, at(i))
		}
	}
	taken := es.take(n)
	if len(taken) != len(left) || slices.ContainsFunc(left, func(e name) bool { return !slices.Contains(taken, e) }) {
		t.Errorf("%v are taken, of %v", taken, left)
	}
	if es.shows(n) || len(es.extra) != 0 || len(es.others) != 0 {
		t.Error("taken, and still shown")
	}
}
