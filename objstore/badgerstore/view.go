package badgerstore

import (
	"errors"
	"runtime/debug"
	"slices"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
)

// source is where records are read from: a [view], or a [tx] that sees its own changes.
type source interface {
	// get returns the decoded value under key; nil if there is none. It must not be changed.
	get(key []byte) (any, error)
	// scan calls f for the keys with the prefix, in the order of keys for a view and in any
	// order for a tx, until f returns false. key is only valid until f returns.
	scan(prefix []byte, f func(key []byte, value any) (bool, error)) error
}

// view reads one state of the store. It must be closed.
type view struct {
	tree
	e     *Engine
	ts    uint64
	epoch uint64
	txn   *badger.Txn // nil until something is not in the cache
}

// view opens a view of the published state. The engine must be open.
func (e *Engine) view() *view {
	v := &view{e: e, epoch: e.epochs.enter()}
	v.ts = e.published.Load()
	v.tree = tree{v}
	return v
}

func (v *view) close() {
	if v.txn != nil {
		v.txn.Discard()
	}
	v.e.epochs.leave(v.epoch)
}

// db is the state in Badger. A view is used by one goroutine at a time.
func (v *view) db() *badger.Txn {
	if v.txn == nil {
		v.txn = v.e.db.NewTransactionAt(v.ts, false)
	}
	return v.txn
}

func (v *view) get(key []byte) (any, error) {
	if !isCached(key) {
		return v.read(key)
	}
	if value, ok := v.e.cache.get(key, v.ts); ok {
		return value, nil
	}
	value, err := v.read(key)
	if err == nil {
		v.e.cache.fill(key, v.ts, value)
	}
	return value, err
}

// read is get without the cache.
func (v *view) read(key []byte) (value any, err error) {
	defer v.e.caught(debug.SetPanicOnFault(true), &err)
	item, err := v.db().Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, &objstore.Error{Op: "read store", Kind: objstore.ErrUnavailable, Err: err}
	}
	return decodeShared(key, item) // the value is this item's alone
}

// decodeItem decodes an item of an iterator, which uses its memory for the next one.
func decodeItem(key []byte, item *badger.Item) (any, error) {
	value, err := decodeShared(key, item)
	if encoded, ok := value.(raw); ok {
		value = slices.Clone(encoded)
	}
	return value, err
}

// decodeShared decodes an item. A raw shares the item's memory.
func decodeShared(key []byte, item *badger.Item) (value any, err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	verr := item.Value(func(p []byte) error {
		value, err = decode(key, p)
		return nil
	})
	if verr != nil { // it says that it is in the value log, where nothing is
		return nil, &objstore.Error{Op: "read store", Kind: objstore.ErrCorrupt, Err: verr}
	}
	return value, err
}

func (v *view) scan(prefix []byte, f func(key []byte, value any) (bool, error)) error {
	return v.scanFrom(prefix, prefix, f)
}

// scanFrom is scan from the key start on.
func (v *view) scanFrom(prefix, start []byte, f func(key []byte, value any) (bool, error)) error {
	c := v.cursor(prefix)
	defer c.close()
	for c.seek(start); c.valid(); c.next() {
		item := c.it.Item()
		value, err := decodeItem(item.Key(), item)
		if err != nil {
			return err
		}
		if more, err := f(item.Key(), value); err != nil || !more {
			return err
		}
	}
	return c.err
}

// scanKeys calls f for the keys with the prefix, until it returns false. key is
// only valid until f returns.
func (v *view) scanKeys(prefix []byte, f func(key []byte) (bool, error)) error {
	c := v.cursor(prefix)
	defer c.close()
	for c.seek(prefix); c.valid(); c.next() {
		if more, err := f(c.it.Item().Key()); err != nil || !more {
			return err
		}
	}
	return c.err
}

// countKeys is the number of keys with the prefix.
func (v *view) countKeys(prefix []byte) (n uint64, err error) {
	err = v.scanKeys(prefix, func([]byte) (bool, error) {
		n++
		return true, nil
	})
	return n, err
}

// hasKey reports whether there is a key with the prefix.
func (v *view) hasKey(prefix []byte) (has bool, err error) {
	err = v.scanKeys(prefix, func([]byte) (bool, error) {
		has = true
		return false, nil
	})
	return has, err
}
