package fs

import "github.com/etagfs/etagfs/objstore"

// Base is the version a writing handle started from, or has committed since; empty
// if there is none, and for readers.
func (h *Handle) Base() objstore.Version {
	if h.tx == nil {
		return ""
	}
	_, base, _ := h.tx.snapshot()
	return base.Version
}
