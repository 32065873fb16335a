package memstore

import (
	"bytes"
	"context"
	"maps"

	"github.com/etagfs/etagfs/objstore"
)

// SetTags implements [objstore.Tagger].
func (b *Bucket) SetTags(ctx context.Context, key objstore.Key, tags map[string]string, _ objstore.Durability) (info objstore.Info, err error) {
	err = b.write(ctx, "set tags", string(key), func(t *tx) error {
		n := b.objectAt(key)
		if n == nil {
			return objstore.ErrNotFound
		}
		t.save(n)
		n.tags = maps.Clone(tags)
		t.tell(objstore.Change{Kind: objstore.ChangeAttr, Object: n.id})
		info = n.object()
		return nil
	})
	return info, err
}

// Answer implements [objstore.Answers].
func (b *Bucket) Answer(ctx context.Context, writeID string) (answer objstore.Answer, err error) {
	err = b.read(ctx, "answer", writeID, func() error {
		b.forgetReplays(b.engine.tick())
		old, ok := b.replays[writeID]
		if !ok {
			return objstore.ErrNotFound
		}
		answer.Err = old.err
		switch result := old.result.(type) {
		case objstore.Info:
			answer.Info = result
		case objstore.CommitResult:
			answer.Info = result.Info
		}
		return nil
	})
	return answer, err
}

// Document implements [objstore.Documents].
func (b *Bucket) Document(ctx context.Context, name string) (text []byte, err error) {
	err = b.read(ctx, "get document", name, func() error {
		found, ok := b.documents[name]
		if !ok {
			return objstore.ErrNotFound
		}
		text = bytes.Clone(found)
		return nil
	})
	return text, err
}

// SetDocument implements [objstore.Documents].
func (b *Bucket) SetDocument(ctx context.Context, name string, text []byte) error {
	return b.write(ctx, "set document", name, func(*tx) error {
		switch {
		case name == "" || len(name) > objstore.DocumentNameBytesMax:
			return problem(objstore.ErrInvalid, "not a name of a document")
		case len(text) > objstore.DocumentBytesMax:
			return objstore.ErrTooLarge
		}
		b.documents[name] = append([]byte{}, text...)
		return nil
	})
}

// DeleteDocument implements [objstore.Documents].
func (b *Bucket) DeleteDocument(ctx context.Context, name string) error {
	return b.write(ctx, "delete document", name, func(*tx) error {
		delete(b.documents, name)
		return nil
	})
}
