package extent

// refs keeps the account of references during an edit.
type refs struct {
	env  Env
	plan *Plan
	// replaced are pages of the base with a successor: the references of
	// their parents to them are settled with them.
	replaced map[Ref]bool
	made     map[Ref]bool // pages of the plan
}

// add makes a page part of the plan.
func (r *refs) add(p *Page) Slot {
	id := r.env.NewPageID()
	r.plan.Pages = append(r.plan.Pages, NewPage{id, p})
	if r.made == nil {
		r.made = make(map[Ref]bool)
	}
	r.made[Ref{RefPage, uint64(id)}] = true
	return Slot{Page: id}
}

// visit loads a page of the base that is about to be replaced. owned says that its references
// move to its successor or end.
func (r *refs) visit(old oldSlot) (page *Page, owned bool, err error) {
	if page, err = pageOf(r.env, old.Page, old.level); err != nil || !old.owned {
		return page, false, err
	}
	state, err := r.env.State(old.Page)
	if err != nil {
		return nil, false, err
	}
	ref := Ref{RefPage, uint64(old.Page)}
	if r.replaced == nil {
		r.replaced = make(map[Ref]bool)
	}
	r.replaced[ref] = true
	if state != Owned {
		r.plan.Dropped = append(r.plan.Dropped, ref)
		return page, false, nil
	}
	r.plan.Freed = append(r.plan.Freed, old.Page)
	return page, true, nil
}

// settle accounts for what a page or record referred to and what its
// successor does. owned: the former's references move or end; else they stay.
func (r *refs) settle(owned bool, before, after []Ref) error {
	if owned {
		before, after = trimCommon(before, after)
	} else {
		before = nil
	}
	moved := make(map[Ref]bool, len(before))
	for _, ref := range before {
		moved[ref] = true
	}
	for _, ref := range after {
		if moved[ref] {
			delete(moved, ref)
		} else if err := r.gain(ref); err != nil {
			return err
		}
	}
	for _, ref := range before {
		if moved[ref] && !r.replaced[ref] {
			r.plan.Dropped = append(r.plan.Dropped, ref)
		}
	}
	return nil
}

// trimCommon takes off what both begin and end with: most edits replace a few children of many.
func trimCommon(a, b []Ref) (restA, restB []Ref) {
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}

// gain adds a reference to what exists already.
func (r *refs) gain(ref Ref) error {
	if r.made[ref] {
		return nil
	}
	if ref.Kind != RefPage {
		r.plan.Gained = append(r.plan.Gained, ref)
		return nil
	}
	id := PageID(ref.ID)
	state, err := r.env.State(id)
	if err != nil {
		return err
	}
	if state != Freed || r.revived(id) {
		r.plan.Gained = append(r.plan.Gained, ref)
		return nil
	}
	r.plan.Revived = append(r.plan.Revived, id)
	page, err := r.env.Page(id)
	if err != nil {
		return err
	}
	for _, child := range page.Refs() {
		if err := r.gain(child); err != nil {
			return err
		}
	}
	return nil
}

func (r *refs) revived(id PageID) bool {
	for _, other := range r.plan.Revived {
		if other == id {
			return true
		}
	}
	return false
}
