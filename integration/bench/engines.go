package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

func engines() []*subject {
	return []*subject{
		{name: badgerName, open: openPlainBadger},
		{name: storeName, open: storeOpener(badgerstore.ProfileServer)},
		{name: storeMountName, open: storeOpener(badgerstore.ProfileMount)},
	}
}

// plainBadger does a conditional put the way Badger's documentation suggests:
// read, compare and write in one transaction, again if it conflicted.
type plainBadger struct{ db *badger.DB }

func openPlainBadger(_ context.Context, dir string, durable bool) (engine, error) {
	db, err := badger.Open(badger.DefaultOptions(dir).WithSyncWrites(durable).WithLogger(nil))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return plainBadger{db}, nil
}

// versionBytes is how much of a value is its version.
const versionBytes = 8

func (p plainBadger) put(ctx context.Context, key string, value []byte, version string) (string, error) {
	for {
		err := p.db.Update(func(tx *badger.Txn) error {
			current, err := p.version(tx, key)
			if err != nil {
				return err
			}
			if current != version {
				return fmt.Errorf("%s has version %q, not %q", key, current, version)
			}
			return tx.Set([]byte(key), append([]byte(nil), value...))
		})
		if !errors.Is(err, badger.ErrConflict) || ctx.Err() != nil {
			return hex.EncodeToString(value[:versionBytes]), err
		}
	}
}

// version is the number at the start of a value: contents differ in it. Empty: no such key.
func (p plainBadger) version(tx *badger.Txn, key string) (version string, err error) {
	item, err := tx.Get([]byte(key))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	err = item.Value(func(value []byte) error {
		version = hex.EncodeToString(value[:versionBytes])
		return nil
	})
	return version, err
}

func (p plainBadger) close() error { return p.db.Close() }

// embedded is a store of ours.
type embedded struct {
	engine     *badgerstore.Engine
	store      objstore.Store
	durability objstore.Durability
}

func storeOpener(profile badgerstore.Profile) func(ctx context.Context, dir string, durable bool) (engine, error) {
	return func(ctx context.Context, dir string, durable bool) (engine, error) {
		e, err := badgerstore.Open(ctx, dir, badgerstore.Options{Profile: profile, Create: true}, badgerstore.Parts{})
		if err != nil {
			return nil, err
		}
		store, err := e.Bucket(ctx, badgerstore.MainBucket)
		if err != nil {
			return nil, errors.Join(err, e.Close())
		}
		durability := objstore.Visible
		if durable {
			durability = objstore.Durable
		}
		return embedded{e, store, durability}, nil
	}
}

func (s embedded) put(ctx context.Context, key string, value []byte, version string) (string, error) {
	cond := objstore.IfAbsent()
	if version != "" {
		cond = objstore.IfVersion(objstore.Version(version))
	}
	opt := objstore.PutOptions{Durability: s.durability, Length: int64(len(value)), LengthKnown: true}
	info, err := s.store.Put(ctx, objstore.Key(key), bytes.NewReader(value), cond, opt)
	return string(info.Version), err
}

func (s embedded) close() error { return s.engine.Close() }
