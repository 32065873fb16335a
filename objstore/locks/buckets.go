package locks

import "sync"

// Buckets are the tables of a store, one for each bucket.
type Buckets struct {
	mu sync.Mutex
	// Guarded by mu.
	tables    map[string]*Table
	expecting bool // so do new tables
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
		t.expecting = b.expecting
		b.tables[bucket] = t
	}
	return t
}

// Expect begins the time in which clients of tables that are gone take back what they held. It ends with Settle. It is
// called before there is a table.
func (b *Buckets) Expect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expecting = true
}

// Settle grants and refuses what was asked for since Expect.
func (b *Buckets) Settle() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expecting = false
	for _, t := range b.tables {
		t.settle()
	}
}
