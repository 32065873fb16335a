package memstore

import (
	"io"

	"github.com/etagfs/etagfs/objstore/blockhash"
)

// chunkBytes is the unit in which contents share memory.
const chunkBytes = 64 << 10

// content is the immutable bytes of one version. Chunk i holds the bytes from
// i*chunkBytes; one that is absent or short stands for zeros.
type content struct {
	size      int64
	allocated int64 // memory the chunks take
	chunks    map[int64][]byte
	blocks    []blockhash.Digest // of every block of size bytes
}

// emptyContent is the content of a new directory, symlink or special file.
func emptyContent() *content { return &content{} }

// hash is the content hash that goes into the ETag.
func (c *content) hash() blockhash.Digest { return blockhash.Content(c.blocks) }

// readAt is io.ReaderAt for a content of size bytes in chunks.
func readAt(chunks map[int64][]byte, size int64, p []byte, off int64) (int, error) {
	if off >= size {
		if len(p) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	short := int64(len(p)) > size-off
	if short {
		p = p[:size-off]
	}
	for done := 0; done < len(p); {
		index, within := (off+int64(done))/chunkBytes, (off+int64(done))%chunkBytes
		part := p[done:min(len(p), done+int(chunkBytes-within))]
		chunk := chunks[index]
		copied := copy(part, chunk[min(within, int64(len(chunk))):])
		clear(part[copied:])
		done += len(part)
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}
