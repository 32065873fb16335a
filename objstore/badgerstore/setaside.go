package badgerstore

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	// repairName is the directory, in that of a store, of what a Repair has set aside.
	repairName = "repair"
	// recordsName is the file of records in it, a line of JSON each.
	recordsName = "records.jsonl"
)

// asideRecord is a line of the file of records. A record may be there twice, if a Repair was interrupted.
type asideRecord struct {
	Time  time.Time `json:"time"`
	About string    `json:"about"`
	Key   []byte    `json:"key"`
	Value []byte    `json:"value"`
}

// aside copies records to the file for that, byte for byte, and returns once that is durable. It reports whether there were any.
func (m *mending) aside(keys ...[]byte) (bool, error) {
	var lines []byte
	for _, key := range keys {
		value, there, err := m.encoded(key)
		if err != nil {
			return false, err
		}
		if !there {
			continue
		}
		line, err := json.Marshal(asideRecord{m.e.clock().UTC(), keyText(key), key, value})
		if err != nil {
			return false, err
		}
		lines = append(append(lines, line...), '\n')
	}
	if len(lines) == 0 {
		return false, nil
	}
	return true, disk.Error("set records aside", m.appendLines(lines))
}

// encoded is the value under a key as it is stored.
func (m *mending) encoded(key []byte) (p []byte, there bool, err error) {
	v := m.e.view()
	defer v.close()
	item, err := v.db().Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, false, nil
	}
	if err == nil {
		p, err = item.ValueCopy(nil)
	}
	return p, err == nil, classified("set records aside", err)
}

func (m *mending) appendLines(lines []byte) error {
	if err := m.e.makeAsideDir(); err != nil {
		return err
	}
	f, err := m.e.fs.OpenRW(m.e.path(filepath.Join(repairName, recordsName)))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(lines, info.Size)
	}
	return errors.Join(err, f.Sync(), f.Close(), m.e.fs.SyncDir(m.e.path(repairName)))
}

func (e *Engine) makeAsideDir() error {
	if err := e.fs.Mkdir(e.path(repairName)); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return e.fs.SyncDir(e.dir)
}

// asideName is a path that is free for a file of the store that is to be set aside.
func (e *Engine) asideName(name string) (string, error) {
	if err := e.makeAsideDir(); err != nil {
		return "", err
	}
	first := e.path(filepath.Join(repairName, strings.ReplaceAll(name, "/", "-")))
	to := first
	for n := 1; ; n++ {
		if _, err := e.fs.Stat(to); err != nil {
			return to, absentIsEmpty(err)
		}
		to = first + "." + strconv.Itoa(n)
	}
}

// remove sets records aside and removes them.
func (m *mending) remove(keys ...[]byte) (bool, error) {
	if any, err := m.aside(keys...); err != nil || !any {
		return false, err
	}
	return true, m.commit(func(t *tx) error {
		for _, key := range keys {
			if key[0] != record.TagSequence { // every batch writes that
				t.set(key, nil)
			}
		}
		return nil
	})
}

// asideFile moves a file, or directory, of the store to where things are set aside. It reports whether it was there.
func (m *mending) asideFile(name string) (bool, error) {
	from := m.e.path(name)
	if _, err := m.e.fs.Stat(from); err != nil {
		return false, disk.Error("set a file aside", absentIsEmpty(err))
	}
	to, err := m.e.asideName(name)
	if err == nil {
		err = errors.Join(m.e.fs.Rename(from, to), m.e.fs.SyncDir(filepath.Dir(to)), m.e.fs.SyncDir(filepath.Dir(from)))
	}
	return err == nil, disk.Error("set a file aside", err)
}

func cureRecord(key []byte) cure {
	key = slices.Clone(key)
	return cure{stageRecords, "it is set aside", func(m *mending) (bool, error) { return m.remove(key) }}
}

func cureFile(name string) cure {
	return cure{stageLost, "it is moved to " + repairName + "/", func(m *mending) (bool, error) { return m.asideFile(name) }}
}
