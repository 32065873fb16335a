package badgerstore

// Progress is told how much of the bytes there are to handle were handled; of garbage, how many records. It is called often and from
// one goroutine, and must not block.
type Progress func(done, total int64)

// advance tells how far a piece of work is.
type advance struct {
	tell        Progress // nil: nobody asked
	done, total int64
}

// add tells of what was handled. There may be more of it than was known of.
func (a *advance) add(n int64) { a.at(a.done + n) }

// at tells that so much was handled.
func (a *advance) at(done int64) {
	a.done = done
	a.total = max(a.total, done)
	if a.tell != nil {
		a.tell(a.done, a.total)
	}
}

// end tells that nothing is left.
func (a *advance) end() { a.at(a.total) }
