package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// repair mends a store and prints what it has repaired and what is left. The error counts the latter.
func (t *terminal) repair(ctx context.Context, store string, options badgerstore.CheckOptions) error {
	if isRemote(store) {
		return usageErrorf("%s is a URL, and a repair is for the machine the store is on: name its directory", store)
	}
	dir, err := storeDir(store)
	if err != nil {
		return err
	}
	logger := slog.New(errorsOnly{slog.NewTextHandler(t.err, nil)})
	meter := t.newMeter("repair")
	if meter != nil {
		options.Progress = paced(func(n news) { meter.show(*n.Progress) }, progress{})
	}
	var left findings
	err = badgerstore.Repair(ctx, dir, options, badgerstore.Parts{Logger: logger}, func(r badgerstore.Repaired) error {
		meter.end()
		if !r.Left {
			return t.printFinding(r.Finding, "repaired")
		}
		left.add(r.Finding)
		return t.printFinding(r.Finding, "left")
	})
	meter.end()
	switch {
	case objstore.KindOf(err) == objstore.ErrInUse:
		return fmt.Errorf("%w. A store is repaired while nobody has it open: unmount it, or end its server", err)
	case err != nil:
		return mountedThere(dir, "that", err)
	}
	return left.failure("repair", store)
}
