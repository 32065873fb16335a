package fs

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// What runs is not opened to write and what is being written is not run, whatever else is open on the file and in whichever order
// that was opened and closed.
func TestTextBusyGoesByWhatIsOpen(t *testing.T) {
	modes := []OpenMode{readOnly, readWrite, writeOnly, {Read: true, Exec: true}}
	for _, options := range []Options{{}, {Isolation: IsolateMount}} {
		m := newWorld(t).mount(options)
		m.put("f", "text")
		random := rand.New(rand.NewPCG(1, uint64(options.Isolation)))
		var open []*Handle
		for range 2000 {
			if i := random.IntN(30); i < len(open) {
				open[i].Release(m.ctx)
				open = slices.Delete(open, i, i+1)
				continue
			}
			mode := modes[random.IntN(len(modes))]
			busy := slices.ContainsFunc(open, func(h *Handle) bool { return mode.Exec && h.mode.Write || mode.Write && h.mode.Exec })
			h, err := m.tryOpen(alice, "f", mode)
			if errors.Is(err, ErrTextBusy) != busy || !busy && err != nil {
				t.Fatalf("%+v beside %d others: %v, expected busy: %v", mode, len(open), err, busy)
			}
			if h != nil {
				open = append(open, h)
			}
			checkInvariants(t, m.FS)
		}
		for _, h := range open {
			h.Release(m.ctx)
		}
	}
}
