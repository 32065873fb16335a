package cache

import (
	"errors"
	"os"
)

// sparesMax is how many slots wait for a stage.
const sparesMax = 32

// slot is a file for the data of a stage and one for its journal. Stages use them one after another: making and removing
// two files costs several times what a small stage writes.
type slot struct {
	name          string // of the data; the journal's is that with journalSuffix
	data, journal *os.File
}

// takeSlot returns one whose files are empty.
func (a *Area) takeSlot() (*slot, error) {
	a.mu.Lock()
	if n := len(a.spares); n > 0 {
		s := a.spares[n-1]
		a.spares = a.spares[:n-1]
		a.mu.Unlock()
		return s, nil
	}
	a.mu.Unlock()
	s := &slot{name: a.nextName("stage")}
	var err error
	if s.data, err = os.OpenFile(s.name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, err
	}
	if s.journal, err = os.OpenFile(s.name+journalSuffix, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return nil, errors.Join(err, os.Remove(s.name), s.data.Close())
	}
	return s, nil
}

// giveBack takes a slot whose journal is empty. What was in its data must not be found as that of another stage, not after power
// was lost either.
func (a *Area) giveBack(s *slot) error {
	err := s.data.Truncate(0)
	a.mu.Lock()
	keep := err == nil && !a.closed && len(a.spares) < sparesMax
	if keep {
		a.spares = append(a.spares, s)
	}
	a.mu.Unlock()
	if keep {
		return nil
	}
	return errors.Join(err, s.remove())
}

// remove ends a slot. The journal goes first: without it there is nothing to find.
func (s *slot) remove() error {
	return errors.Join(os.Remove(s.name+journalSuffix), os.Remove(s.name), s.close())
}

func (s *slot) close() error {
	err := s.data.Close()
	if s.journal != nil {
		err = errors.Join(err, s.journal.Close())
	}
	return err
}
