package mount

import (
	"time"

	"github.com/etagfs/etagfs/fs"
)

// pinTime is how long a reserved node keeps its version for an OPEN that does not come.
const pinTime = 10 * time.Second

// pins are the handles that keep what reserved nodes show: between a second lookup and its OPEN the
// file may be replaced, and yet the OPEN must not be refused. table.mu guards
// them; as nothing is called with it held, handles are released later.
type pins struct {
	pinned []*node // by age; some may have lost their pin
	loose  []*fs.Handle
	passed []int32 // ids of files that the kernel need not know any more
}

// loosen gives up n's pin.
func (p *pins) loosen(n *node) {
	if r := n.use().reservation; r != nil && r.pin != nil {
		p.loose = append(p.loose, r.pin)
		r.pin = nil
	}
}

// retire gives up an id by which the kernel knows a file, 0 for none.
func (p *pins) retire(id int32) {
	if id != 0 {
		p.passed = append(p.passed, id)
	}
}

// takePassed hands over the ids that nothing needs any more.
func (t *table) takePassed() []int32 {
	t.mu.Lock()
	defer t.mu.Unlock()
	passed := t.pins.passed
	t.pins.passed = nil
	return passed
}

// give takes back the pin an opening has.
func (p *pins) give(o *opening) {
	if o.pin != nil {
		p.loose = append(p.loose, o.pin)
		o.pin = nil
	}
}

// pin keeps h for n, unless it is too late.
func (t *table) pin(n *node, h *fs.Handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := n.use().reservation
	if r == nil || r.pin != nil {
		t.pins.loose = append(t.pins.loose, h)
		return
	}
	r.pin = h
	t.pins.pinned = append(t.pins.pinned, n)
}

// held is what n shows, or, if it is reserved, what its pin does: that may have grown.
func (t *table) held(n *node) fs.View {
	t.mu.Lock()
	view, pin := n.view(), (*fs.Handle)(nil)
	if r := n.use().reservation; r != nil {
		pin = r.pin
	}
	t.mu.Unlock()
	if pin != nil {
		return pin.View()
	}
	return view
}

// takeLoose hands over the handles that nothing needs any more.
func (t *table) takeLoose() []*fs.Handle {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.pins
	for len(p.pinned) > 0 {
		n := p.pinned[0]
		if r := n.use().reservation; r != nil && r.pin != nil && t.now().Before(r.until.Add(pinTime)) {
			break
		}
		if r := n.use().reservation; t.sharing && r != nil && r.pin != nil {
			p.loosen(n)
			n.used().reservation = nil // for another retry there will be another
			n.rest()
		}
		p.loosen(n)
		p.pinned = p.pinned[1:]
	}
	loose := p.loose
	p.loose = nil
	return loose
}
