package badgerstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// SetTags implements [objstore.Tagger].
func (b *Bucket) SetTags(ctx context.Context, key objstore.Key, tags map[string]string, d objstore.Durability) (info objstore.Info, err error) {
	tags = cloneMeta(tags)
	err = b.write(ctx, d, false, func(t *tx) error {
		old, err := t.objectAt(b.root, key)
		if err == nil && old == nil {
			err = objstore.ErrNotFound
		}
		if err != nil {
			return err
		}
		o, err := t.touched(old)
		if err != nil {
			return err
		}
		o.Tags = tags
		t.store(o)
		t.tell(b.root, objstore.Change{Kind: objstore.ChangeAttr, Object: objstore.ID(o.ID)})
		info = objectInfoOf(o)
		return nil
	})
	return info, named("set tags", string(key), err)
}

// Answer implements [objstore.Answers].
func (b *Bucket) Answer(ctx context.Context, writeID string) (a objstore.Answer, err error) {
	err = b.read(ctx, "answer", writeID, func(v *view) error {
		value, err := v.get(record.OutcomeKey(b.root, writeID))
		if err != nil {
			return err
		}
		o, ok := value.(*record.Outcome)
		if !ok {
			return objstore.ErrNotFound
		}
		a.Err = outcomeError(o)
		if o.Object != nil {
			a.Info = objectInfoOf(o.Object)
		}
		return nil
	})
	return a, err
}

// Document implements [objstore.Documents].
func (b *Bucket) Document(ctx context.Context, name string) (text []byte, err error) {
	err = b.read(ctx, "get document", name, func(v *view) error {
		key := record.DocumentKey(b.root, name)
		value, err := v.get(key)
		if err != nil {
			return err
		}
		encoded, ok := value.(raw)
		if !ok {
			return objstore.ErrNotFound
		}
		text, err = record.DecodePayload(key, encoded)
		return err
	})
	return text, err
}

// SetDocument implements [objstore.Documents].
func (b *Bucket) SetDocument(ctx context.Context, name string, text []byte) error {
	const op = "set document"
	switch {
	case name == "" || len(name) > objstore.DocumentNameBytesMax:
		return named(op, name, problem(objstore.ErrInvalid, "not a name of a document"))
	case len(text) > objstore.DocumentBytesMax:
		return named(op, name, objstore.ErrTooLarge)
	}
	if err := b.e.need(featureS3); err != nil {
		return named(op, name, err)
	}
	key := record.DocumentKey(b.root, name)
	value := raw(record.EncodePayload(key, text))
	return named(op, name, b.write(ctx, objstore.Durable, false, func(t *tx) error {
		t.set(key, value)
		return nil
	}))
}

// DeleteDocument implements [objstore.Documents].
func (b *Bucket) DeleteDocument(ctx context.Context, name string) error {
	return named("delete document", name, b.write(ctx, objstore.Durable, true, func(t *tx) error {
		key := record.DocumentKey(b.root, name)
		if value, err := t.get(key); err != nil || value == nil {
			return err
		}
		t.set(key, nil)
		return nil
	}))
}

// dropDocuments forgets all documents of a bucket.
func (t *tx) dropDocuments(root uint64) error {
	var keys [][]byte
	err := t.src.scan(record.DocumentPrefix(root), func(key []byte, _ any) (bool, error) {
		keys = append(keys, append([]byte(nil), key...))
		return true, nil
	})
	for _, key := range keys {
		t.set(key, nil)
	}
	return err
}
