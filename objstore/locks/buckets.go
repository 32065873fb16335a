package locks

import "sync"

// Buckets are the tables of a store, one for each bucket.
type Buckets struct {
	mu     sync.Mutex
	tables map[string]*Table // guarded by mu
}

// NewBuckets returns tables without locks.
func NewBuckets() *Buckets { return &Buckets{tables: make(map[string]*Table)} }

// Table is that of a bucket.
func (b *Buckets) Table(bucket string) *Table {
	b.mu.Lock()
	defer b.mu.Unlock()
	t := b.tables[bucket]
	if t == nil {
		t = New()
		b.tables[bucket] = t
	}
	return t
}
