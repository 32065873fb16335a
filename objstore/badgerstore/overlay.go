package badgerstore

import (
	"strings"
)

// overlay is the state a batch has come to: that published, and the changes of
// the operations so far. Only the committer uses it.
type overlay struct {
	base    *view
	changed map[string]any // nil: deleted
	log     []undo
	bytes   int // about what the batch takes
}

// undo is how to take one change back.
type undo struct {
	key   string
	old   any
	had   bool // the key was changed before
	bytes int
}

func newOverlay(base *view) *overlay { return &overlay{base: base, changed: map[string]any{}} }

func (o *overlay) get(key []byte) (any, error) {
	if value, ok := o.changed[string(key)]; ok {
		return value, nil
	}
	return o.base.get(key)
}

// set changes a key; nil deletes it.
func (o *overlay) set(key []byte, value any) {
	old, had := o.changed[string(key)]
	size := len(key) + weight(value)
	if had {
		size -= len(key) + weight(old)
	}
	o.log = append(o.log, undo{string(key), old, had, size})
	o.changed[string(key)] = value
	o.bytes += size
}

// largest is the weight of the largest value that changed after the first n changes.
func (o *overlay) largest(n int) (largest int) {
	for i := n; i < len(o.log); i++ {
		largest = max(largest, weight(o.changed[o.log[i].key]))
	}
	return largest
}

// rollback takes back all changes after the first n.
func (o *overlay) rollback(n int) {
	for i := len(o.log) - 1; i >= n; i-- {
		u := o.log[i]
		o.bytes -= u.bytes
		if u.had {
			o.changed[u.key] = u.old
		} else {
			delete(o.changed, u.key)
		}
	}
	o.log = o.log[:n]
}

func (o *overlay) scan(prefix []byte, f func(key []byte, value any) (bool, error)) error {
	stopped := false
	err := o.base.scan(prefix, func(key []byte, value any) (bool, error) {
		if _, ok := o.changed[string(key)]; ok {
			return true, nil
		}
		more, err := f(key, value)
		stopped = !more
		return more, err
	})
	for key, value := range o.changed {
		if err != nil || stopped {
			break
		}
		if value != nil && strings.HasPrefix(key, string(prefix)) {
			var more bool
			more, err = f([]byte(key), value)
			stopped = !more
		}
	}
	return err
}
