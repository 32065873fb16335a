package fs

import (
	"context"
	"slices"

	"github.com/etagfs/etagfs/objstore"
)

// namesAhead is how many names are asked for where a request costs more than a name: S3 lists as many at a time.
const namesAhead = 1000

// ahead is what was listed beyond what a reply holds. It is of the walk that has asked for it: one that begins, or begins again, asks
// anew. Only what an entry is goes with its name, which is all that is wanted of it, and not what it is like, which would be old.
type ahead struct {
	after   string // the name before the first entry
	entries []objstore.DirEntry
	more    bool // than these
}

// from leaves what comes after a name; false if it is not known what does.
func (a *ahead) from(after string) bool {
	if after != a.after {
		i := slices.IndexFunc(a.entries, func(e objstore.DirEntry) bool { return e.Name == after })
		if i < 0 {
			return false
		}
		a.after, a.entries = after, a.entries[i+1:]
	}
	return len(a.entries) > 0 || after != "" && !a.more
}

// next is what the store has after a name: as much as there is room for, or more, of a store that tells of no changes, which is one where
// every listing is a request.
func (d *Dir) next(ctx context.Context, after string, room Room) (entries []objstore.DirEntry, more bool, err error) {
	if !room.Plain || d.fs.caps.Watch {
		return d.fs.ns.ReadDir(ctx, d.id, after, room.entries(d.cookies.nameBytes()))
	}
	if d.ahead.from(after) {
		return d.ahead.entries, d.ahead.more, nil
	}
	if entries, more, err = d.fs.ns.ReadDir(ctx, d.id, after, namesAhead); err != nil {
		return nil, false, err
	}
	d.ahead = ahead{after: after, more: more}
	for _, e := range entries {
		info := objstore.Info{ID: e.Info.ID, Type: e.Info.Type, Version: e.Info.Version}
		d.ahead.entries = append(d.ahead.entries, objstore.DirEntry{Name: e.Name, Info: info})
	}
	return d.ahead.entries, more, nil
}
