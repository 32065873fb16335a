package strtab

import "strings"

// blockBytes are taken at a time. A block is let go of when none of its strings is used any more.
const blockBytes = 4096

// Table is what strings are copied into. The zero value is empty. It is for one goroutine; the copies are for any.
type Table struct{ block strings.Builder }

// Copy is a copy of s in the table.
func (t *Table) Copy(s string) string {
	if t.block.Cap()-t.block.Len() < len(s) {
		t.block = strings.Builder{}
		t.block.Grow(max(blockBytes, len(s)))
	}
	t.block.WriteString(s)
	return t.block.String()[t.block.Len()-len(s):]
}
