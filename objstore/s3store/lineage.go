package s3store

import (
	"maps"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// lineageMax is how many predecessors an object names.
const lineageMax = 16

// The user metadata that carries them. It is not shown in Info.
const (
	metaWrite   = "etagfs-write"
	metaLineage = "etagfs-lineage"
)

// ancestor is a content that was there before. One without an ETag is a gap: anything may have been there.
type ancestor struct {
	id   string
	etag objstore.ETag
}

// lineage is what an object says of its past.
type lineage struct {
	id        string // of the write that made it; empty: made by another program
	ancestors []ancestor
}

func lineageOf(meta map[string]string) lineage {
	l := lineage{id: meta[metaWrite]}
	for item := range strings.SplitSeq(meta[metaLineage], ",") {
		if id, etag, ok := strings.Cut(item, "/"); ok {
			l.ancestors = append(l.ancestors, ancestor{id, objstore.ETag(etag)})
		}
	}
	return l
}

// next is the lineage of what replaces an object with this lineage and ETag. pinned: it can replace nothing else.
func (l lineage) next(id string, etag objstore.ETag, pinned bool) lineage {
	next := lineage{id: id}
	if !pinned {
		next.ancestors = append(next.ancestors, ancestor{})
	}
	if etag != "" {
		next.ancestors = append(next.ancestors, ancestor{l.id, etag})
	}
	next.ancestors = append(next.ancestors, l.ancestors...)
	next.ancestors = next.ancestors[:min(len(next.ancestors), lineageMax)]
	return next
}

// added to the user's own metadata.
func (l lineage) added(meta map[string]string) map[string]string {
	all := make(map[string]string, len(meta)+2)
	maps.Copy(all, meta)
	items := make([]string, len(l.ancestors))
	for i, a := range l.ancestors {
		items[i] = a.id + "/" + string(a.etag)
	}
	all[metaWrite], all[metaLineage] = l.id, strings.Join(items, ",")
	return all
}

// made is the ETag write id made, if it is known to have been applied.
func (l lineage) made(id string, current objstore.ETag) (objstore.ETag, bool) {
	if l.id == id {
		return current, true
	}
	for _, a := range l.ancestors {
		if a.id == id && a.etag != "" {
			return a.etag, true
		}
	}
	return "", false
}

// reaches reports whether every content since etag is known.
func (l lineage) reaches(etag objstore.ETag) bool {
	for _, a := range l.ancestors {
		if a.etag == "" {
			return false
		}
		if a.etag == etag {
			return true
		}
	}
	return false
}
