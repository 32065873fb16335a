package main

import (
	"context"
	"strings"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/mount"
)

// othersPatience is how long the other mounts of a store may take to say what they know of a file.
const othersPatience = 2 * time.Second

// whyTold is what --json prints: what the mount knows, and what other mounts of the store on this machine know beside it.
type whyTold struct {
	fs.Why
	WriterMount string `json:"writer_mount,omitempty"` // through which it was written, if that is another one
	LostMount   string `json:"lost_mount,omitempty"`   // the same of the last loss
}

// whyThere is what another mount knows of the same file.
type whyThere struct {
	root string
	fs.Why
}

// known is what there is to tell of the file.
func (w whyTold) known() bool { return w.ETag != "" || w.Object != 0 || w.Lost != nil }

// learn adds what other mounts know: who wrote this version, the newest loss, and who won it.
func (w *whyTold) learn(others []whyThere) {
	for _, o := range others {
		if w.Writer == nil && o.Writer != nil && o.Version == w.Version {
			w.Writer, w.WriterMount = o.Writer, o.root
		}
		if o.Lost != nil && (w.Lost == nil || o.Lost.Time.After(w.Lost.Time)) {
			w.Lost, w.LostMount = o.Lost, o.root
		}
	}
	if w.Lost == nil || w.Lost.Winner != nil || w.Lost.Theirs == "" {
		return
	}
	for _, o := range append(others, whyThere{Why: w.Why}) {
		if o.Writer != nil && o.Writer.ETag == w.Lost.Theirs {
			w.Lost.Winner = o.Writer
		}
	}
}

// elsewhere asks the other mounts of the store that this process sees for a file, by its path in them. Those that do not answer in
// time, or may not be asked, are left out. Which are of the store the mount table says: a mount of another may hang, and is not touched.
func (m mountedTree) elsewhere(ctx context.Context, path, control string) (all []whyThere) {
	mine, err := m.config()
	if err != nil {
		return nil
	}
	points, err := mount.PointsOf(func(source string) bool { return storeName(source) == storeName(mine.Source) })
	if err != nil {
		return nil
	}
	patience, cancel := context.WithTimeout(ctx, othersPatience)
	defer cancel()
	answers := make(chan *whyThere, len(points))
	for _, point := range points {
		go func() { answers <- whyAt(patience, point, m.root, control, path, mine) }()
	}
	for range points {
		select {
		case answer := <-answers:
			if answer != nil {
				all = append(all, *answer)
			}
		case <-patience.Done():
			return all
		}
	}
	return all
}

// whyAt asks the mount at point, unless it is the one at but, or of another store than mine.
func whyAt(ctx context.Context, point, but, control, path string, mine mountConfig) *whyThere {
	if point == but {
		return nil
	}
	tree, err := findMounted(point, control)
	if err != nil || tree.root != point {
		return nil
	}
	config, err := tree.config()
	if err != nil || config.place() != mine.place() {
		return nil
	}
	w, err := tree.why(ctx, tree.root+"/"+path)
	if err != nil {
		return nil
	}
	return &whyThere{tree.root, w}
}

// place is what mounts of one bucket of one store have in common.
func (c mountConfig) place() string {
	return storeName(c.Source) + "\x00" + c.Options["bucket"]
}

// storeName is what the sources of mounts of one store have in common.
func storeName(source string) string { return strings.TrimPrefix(source, attachedPrefix) }
