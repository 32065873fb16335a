package fs

import "container/heap"

// ranking is a set of transactions that knows its newest. Adding and removing one takes next to nothing, however many there are.
type ranking struct {
	all    []*transaction       // a heap, the newest first
	places map[*transaction]int // in all
}

// newest is nil if there is none.
func (r *ranking) newest() *transaction {
	if len(r.all) == 0 {
		return nil
	}
	return r.all[0]
}

// put makes t one of them or none.
func (r *ranking) put(t *transaction, among bool) {
	place, is := r.places[t]
	switch {
	case among && !is:
		heap.Push(r, t)
	case !among && is:
		heap.Remove(r, place)
	}
}

// Len implements [heap.Interface].
func (r *ranking) Len() int { return len(r.all) }

// Less implements [heap.Interface].
func (r *ranking) Less(i, j int) bool { return r.all[i].id > r.all[j].id }

// Swap implements [heap.Interface].
func (r *ranking) Swap(i, j int) {
	r.all[i], r.all[j] = r.all[j], r.all[i]
	r.places[r.all[i]], r.places[r.all[j]] = i, j
}

// Push implements [heap.Interface].
func (r *ranking) Push(t any) {
	if r.places == nil {
		r.places = make(map[*transaction]int)
	}
	r.places[t.(*transaction)] = len(r.all)
	r.all = append(r.all, t.(*transaction))
}

// Pop implements [heap.Interface].
func (r *ranking) Pop() any {
	end := len(r.all) - 1
	t := r.all[end]
	r.all[end] = nil
	r.all = r.all[:end]
	delete(r.places, t)
	return t
}
