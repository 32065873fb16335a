package s3store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// NotesAge is for how long what a probe has found is taken for true.
const NotesAge = 24 * time.Hour

// Notes keep what a probe has found, for one store as it is named, from one [Open] to the next. What they lose is probed again, and so is
// all that they do not understand. They belong to one version of this program.
type Notes interface {
	// Read is what was written last, or nothing.
	Read() ([]byte, error)
	Write(text []byte) error
	Remove() error
}

// noted is what notes say. Only what can be written to is noted.
type noted struct {
	At           time.Time
	Server       string // what it called itself
	Ours         bool
	Tokens       bool
	Marks        bool
	Capabilities objstore.Capabilities
	Findings     []Finding
}

// recall adopts what is noted, if that is young, of the same server, and the store still does what everything rests on. What contradicts
// the notes ends them.
func (s *Store) recall(ctx context.Context) (done bool, err error) {
	n, ok := s.readNotes()
	if !ok {
		return false, nil
	}
	age := s.parts.Now().Sub(n.At)
	same := n.Server == s.server && n.Capabilities.ObjectBytesMax == s.caps.ObjectBytesMax && n.Capabilities.KeyBytesMax == s.caps.KeyBytesMax
	if same && age >= 0 && age < NotesAge {
		if same, err = s.confirm(ctx, n); err != nil {
			return false, err
		}
		if same {
			s.caps, s.ours, s.tokens, s.marks, s.findings = n.Capabilities, n.Ours, n.Tokens, n.Marks, n.Findings
			return true, nil
		}
		s.parts.Logger.Warn("the store is not what it was when it was probed", "bucket", s.opt.Bucket)
	}
	if err := s.parts.Notes.Remove(); err != nil {
		s.parts.Logger.Warn("what is known of the store is out of date and stays", "err", err)
	}
	return false, nil
}

func (s *Store) readNotes() (n noted, ok bool) {
	if s.parts.Notes == nil {
		return n, false
	}
	text, err := s.parts.Notes.Read()
	if err != nil {
		s.parts.Logger.Warn("what was known of the store cannot be read", "err", err)
		return n, false
	}
	return n, len(text) > 0 && json.Unmarshal(text, &n) == nil
}

// note keeps what a probe has found. Without it the next is made sooner.
func (s *Store) note() {
	if s.parts.Notes == nil {
		return
	}
	var text []byte
	err := s.Writable()
	if err != nil {
		err = s.parts.Notes.Remove()
	} else if text, err = json.Marshal(noted{s.parts.Now(), s.server, s.ours, s.tokens, s.marks, s.caps, s.findings}); err == nil {
		err = s.parts.Notes.Write(text)
	}
	if err != nil {
		s.parts.Logger.Warn("what was found out about the store is not kept", "err", err)
	}
}

// confirm tries what every writer relies on, in a handful of requests: that a condition is honoured where it holds and where it does
// not. What several writers at once, uploads, copies and renames do is taken from the notes.
func (s *Store) confirm(ctx context.Context, n noted) (same bool, err error) {
	p, err := s.newProbe()
	if err != nil {
		return false, err
	}
	// Of nothing but the key, which is what is left behind.
	p.keys = p.keys[:1]
	defer p.clean(ctx)
	if p.now, err = p.set(ctx, p.key); err != nil {
		return false, err
	}
	p.s.ours = p.s.ours && p.now.version != objstore.Version(p.now.etag)
	if p.s.ours != n.Ours {
		return false, nil
	}
	_, exists := p.put(ctx, p.key, "other", objstore.IfAbsent())
	_, differs := p.put(ctx, p.key, "other", p.otherVersion())
	if same, _, err = first(exists, differs); !same {
		return false, err
	}
	again, err := p.put(ctx, p.key, "probe", objstore.IfVersion(p.now.version))
	if err != nil {
		_, _, err = refused(err)
		return false, err // what holds was refused, or there was no answer
	}
	if n.Capabilities.UniqueVersions && again.version == p.now.version {
		return false, nil
	}
	if !n.Capabilities.Delete.Has(anyIfVersion()) {
		return true, nil
	}
	same, _, err = refused(p.remove(ctx, p.key, p.otherVersion()))
	return same, err
}
