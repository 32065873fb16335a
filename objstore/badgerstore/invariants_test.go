package badgerstore

import (
	"context"
	"fmt"
	"testing"
)

// findings is all that a check finds.
func (e *Engine) findings(opt CheckOptions) (all []Finding, err error) {
	err = e.Check(context.Background(), opt, func(f Finding) error {
		all = append(all, f)
		return nil
	})
	return all, err
}

// checkInvariants is the check of the whole store, and of what only memory knows.
func (e *Engine) checkInvariants() error {
	all, err := e.findings(CheckOptions{})
	if err != nil {
		return err
	}
	if len(all) > 0 {
		return fmt.Errorf("%d findings, the first: %s", len(all), all[0])
	}
	v := e.view()
	defer v.close()
	last, _, err := e.sequenceAt(v.ts)
	if n := e.objects.Load(); err == nil && e.published.Load() == v.ts && n != int64(last.Objects) {
		return fmt.Errorf("%d objects are counted and %d are there", n, last.Objects)
	}
	return err
}

// countOf is the number of keys with the prefix.
func countOf(t *testing.T, v *view, prefix []byte) uint64 {
	t.Helper()
	n, err := v.countKeys(prefix)
	must(t, err)
	return n
}
