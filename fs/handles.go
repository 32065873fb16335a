package fs

// openHandles are the handles that are open on a file. A file may be open very many times, so what each open and close asks
// of them takes no time for each. FS.mu guards them.
type openHandles struct {
	all          []*Handle      // in no order; each knows its place
	transactions []*transaction // those of all, each once, in no order; each knows its place
	writing      int            // how many of all may write
	running      int            // how many of all run the file
}

func (o *openHandles) add(h *Handle) {
	h.place = len(o.all)
	o.all = append(o.all, h)
	o.count(h.mode, 1)
	if h.tx == nil {
		return
	}
	if h.tx.handles++; h.tx.handles == 1 {
		h.tx.place = len(o.transactions)
		o.transactions = append(o.transactions, h.tx)
		h.tx.opens(true)
	}
}

func (o *openHandles) remove(h *Handle) {
	end := len(o.all) - 1
	last := o.all[end]
	o.all[h.place], o.all[end] = last, nil
	last.place = h.place
	o.all = o.all[:end]
	o.count(h.mode, -1)
	if h.tx == nil {
		return
	}
	if h.tx.handles--; h.tx.handles == 0 {
		o.removeTransaction(h.tx)
		h.tx.opens(false)
	}
}

func (o *openHandles) removeTransaction(t *transaction) {
	end := len(o.transactions) - 1
	last := o.transactions[end]
	o.transactions[t.place], o.transactions[end] = last, nil
	last.place = t.place
	o.transactions = o.transactions[:end]
}

func (o *openHandles) count(mode OpenMode, by int) {
	if mode.Write {
		o.writing += by
	}
	if mode.Exec {
		o.running += by
	}
}
