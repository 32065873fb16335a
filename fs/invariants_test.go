package fs

import (
	"slices"
	"testing"
)

// checkInvariants checks what must hold whenever no operation is under way.
func checkInvariants(t testing.TB, fs *FS) {
	t.Helper()
	fs.mu.Lock()
	defer fs.mu.Unlock()
	handles, writers := 0, 0
	for id, f := range fs.files {
		if f.id != id {
			t.Errorf("file %d is kept as %d", f.id, id)
		}
		if len(f.handles.all) == 0 {
			t.Errorf("file %d is kept without a handle", id)
		}
		if f.create != nil && fs.creations[f.create.at] != f {
			t.Errorf("the pending create of %d is not at its name", id)
		}
		if f.published != nil && !slices.Contains(f.handles.transactions, f.published) {
			t.Errorf("file %d was published by a handle that is gone", id)
		}
		checkOpenHandles(t, f)
		checkUncommitted(t, f)
		for _, h := range f.handles.all {
			handles++
			if h.file != f {
				t.Errorf("a handle of %d belongs to another file", id)
			}
			if (h.tx == nil) == (h.reading == nil) {
				t.Errorf("a handle of %d is not one of writer and reader", id)
			}
			if h.tx != nil {
				writers++
				checkTransaction(t, fs, h.tx)
			}
		}
	}
	for at, f := range fs.creations {
		if f.create == nil || f.create.at != at || fs.files[f.id] != f {
			t.Errorf("%v is pending for a file that is not", at)
		}
	}
	if len(fs.names.held) != 0 {
		t.Errorf("%d names are locked", len(fs.names.held))
	}
	fs.notices.mu.Lock()
	defer fs.notices.mu.Unlock()
	if len(fs.notices.own) != 0 {
		t.Errorf("%d changes are still expected", len(fs.notices.own))
	}
}

// checkOpenHandles checks what a file keeps about its handles against these.
func checkOpenHandles(t testing.TB, f *file) {
	t.Helper()
	writing, running, of := 0, 0, make(map[*transaction]int)
	for place, h := range f.handles.all {
		if h.place != place {
			t.Errorf("a handle of %d is at %d and believes to be at %d", f.id, place, h.place)
		}
		if h.mode.Write {
			writing++
		}
		if h.mode.Exec {
			running++
		}
		if h.tx != nil {
			of[h.tx]++
		}
	}
	if writing != f.handles.writing || running != f.handles.running || len(of) != len(f.handles.transactions) {
		t.Errorf("file %d: %d handles write, %d run, of %d transactions: %+v", f.id, writing, running, len(of), f.handles)
	}
	for place, tx := range f.handles.transactions {
		if tx.place != place {
			t.Errorf("file %d: writer %d is at %d and believes to be at %d", f.id, tx.id, place, tx.place)
		}
		if tx.handles != of[tx] || tx.handles == 0 {
			t.Errorf("file %d: writer %d has %d handles and counts %d", f.id, tx.id, of[tx], tx.handles)
		}
	}
}

// checkUncommitted checks what a file has listed as uncommitted against its transactions.
func checkUncommitted(t testing.TB, f *file) {
	t.Helper()
	f.uncommitted.mu.Lock()
	listed, makers, deferred := slices.Clone(f.uncommitted.all.all), slices.Clone(f.uncommitted.making.all), len(f.uncommitted.deferred)
	checkRanking(t, f, &f.uncommitted.all)
	checkRanking(t, f, &f.uncommitted.making)
	opened := 0
	for process, of := range f.uncommitted.opened {
		opened += len(of)
		for tx := range of {
			if tx.listing.opener != process || !slices.Contains(listed, tx) {
				t.Errorf("file %d: writer %d is listed under process %d and believes to be under %d", f.id, tx.id, process, tx.listing.opener)
			}
		}
	}
	if opened != len(listed) {
		t.Errorf("file %d: %d writers are listed, %d by process", f.id, len(listed), opened)
	}
	f.uncommitted.mu.Unlock()
	for _, tx := range f.handles.transactions {
		if tx.uncommitted() != slices.Contains(listed, tx) {
			t.Errorf("file %d: that writer %d is uncommitted is %v, and is listed otherwise", f.id, tx.id, tx.uncommitted())
		}
		if _, base, _ := tx.snapshot(); slices.Contains(makers, tx) != (tx.uncommitted() && base.Version == "") {
			t.Errorf("file %d: writer %d, which began with version %q, is otherwise listed", f.id, tx.id, base.Version)
		}
		if tx.isDeferred() {
			deferred--
		}
	}
	if deferred != 0 {
		t.Errorf("file %d counts %d deferred flushes too many", f.id, deferred)
	}
}

func checkRanking(t testing.TB, f *file, r *ranking) {
	t.Helper()
	for place, tx := range r.all {
		if r.places[tx] != place || !slices.Contains(f.handles.transactions, tx) {
			t.Errorf("file %d: writer %d is listed at %d and believed to be at %d", f.id, tx.id, place, r.places[tx])
		}
		if place > 0 && r.all[(place-1)/2].id < tx.id {
			t.Errorf("file %d: writer %d is behind an older one", f.id, tx.id)
		}
	}
	if len(r.places) != len(r.all) {
		t.Errorf("file %d: %d writers are listed at %d places", f.id, len(r.all), len(r.places))
	}
}

func checkTransaction(t testing.TB, fs *FS, tx *transaction) {
	t.Helper()
	tx.mu.Lock()
	defer tx.mu.Unlock()
	if fs.writers[tx.id] != tx || tx.users < 1 {
		t.Errorf("writer %d with %d users is not in the table", tx.id, tx.users)
	}
	if tx.committed > tx.changes || tx.rewritten > tx.rewrites || tx.rewrites > tx.changes {
		t.Errorf("writer %d counts wrongly: %+v", tx.id, tx.work)
	}
	if tx.base.Version == "" && tx.committed != 0 {
		t.Errorf("writer %d committed and has no base", tx.id)
	}
	if tx.state == txLost && tx.kept.reason == 0 {
		t.Errorf("writer %d lost without a reason", tx.id)
	}
	if tx.stage != nil && tx.pin != nil {
		t.Errorf("writer %d holds a pin beside its stage", tx.id)
	}
}
