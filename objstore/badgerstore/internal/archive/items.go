package archive

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"github.com/zeebo/xxh3"
)

const (
	// pieceBytes is how large a piece of items is, on average.
	pieceBytes = 1 << 20
	// pieceBytesMax is the most but for the last item.
	pieceBytesMax = 8 << 20
)

// Cutter makes pieces of items.
type Cutter struct {
	a   *Archive
	buf []byte

	Pieces     []Piece
	Bytes      int64 // of all items
	BytesAdded int64 // of pieces that were not there
}

// Cut begins a sequence of items.
func (a *Archive) Cut() *Cutter { return &Cutter{a: a} }

// add adds an item. Its name alone and its size decide whether a piece ends with it.
func (c *Cutter) add(name, item []byte) error {
	c.buf = append(c.buf, item...)
	c.Bytes += int64(len(item))
	if len(c.buf) < pieceBytesMax && xxh3.Hash(name)%pieceBytes >= uint64(len(item)) {
		return nil
	}
	return c.End()
}

// End ends the sequence.
func (c *Cutter) End() error {
	if len(c.buf) == 0 {
		return nil
	}
	p, added, err := c.a.put(c.buf)
	if err != nil {
		return err
	}
	if added {
		c.BytesAdded += p.Bytes
	}
	c.Pieces, c.buf = append(c.Pieces, p), c.buf[:0]
	return nil
}

// AddRecord adds a record.
func (c *Cutter) AddRecord(key, value []byte) error {
	item := make([]byte, 0, len(key)+len(value)+2*binary.MaxVarintLen32)
	item = binary.AppendUvarint(item, uint64(len(key)))
	item = binary.AppendUvarint(item, uint64(len(value)))
	item = append(append(item, key...), value...)
	return c.add(key, item)
}

// Blob is a blob and the piece its bytes are in.
type Blob struct {
	ID    uint64
	Bare  bool
	Piece Piece
}

// Before reports whether b comes before other in a list.
func (b Blob) Before(other Blob) bool {
	if b.Bare != other.Bare {
		return other.Bare
	}
	return b.ID < other.ID
}

const (
	blobWord = "blob"
	bareWord = "bare"
)

// AddBlob adds a line of the list of blobs.
func (c *Cutter) AddBlob(b Blob) error {
	word := blobWord
	if b.Bare {
		word = bareWord
	}
	name := fmt.Sprintf("%s %x", word, b.ID)
	return c.add([]byte(name), fmt.Appendf(nil, "%s %d %v\n", name, b.Piece.Bytes, b.Piece.Digest))
}

func parseBlob(line string) (b Blob, err error) {
	words := strings.Fields(line)
	if len(words) != 4 || words[0] != blobWord && words[0] != bareWord {
		return b, fmt.Errorf("the line %q", line)
	}
	b.Bare = words[0] == bareWord
	if b.ID, err = strconv.ParseUint(words[1], 16, 64); err != nil {
		return b, err
	}
	b.Piece, err = parsePiece(words[3] + " " + words[2])
	return b, err
}

// EachRecord yields the records in pieces. What is yielded is valid until the next piece is read.
func (a *Archive) EachRecord(pieces []Piece, yield func(key, value []byte) error) error {
	for _, p := range pieces {
		buf, err := a.read(p)
		if err != nil {
			return err
		}
		for len(buf) > 0 {
			key, value, rest, ok := cutRecord(buf)
			if !ok {
				return corrupt("%s does not have records in it", a.Path(p.Digest))
			}
			if err := yield(key, value); err != nil {
				return err
			}
			buf = rest
		}
	}
	return nil
}

func cutRecord(buf []byte) (key, value, rest []byte, ok bool) {
	k, n := binary.Uvarint(buf)
	if n <= 0 {
		return nil, nil, nil, false
	}
	buf = buf[n:]
	v, n := binary.Uvarint(buf)
	if n <= 0 {
		return nil, nil, nil, false
	}
	buf = buf[n:]
	if k > uint64(len(buf)) || v > uint64(len(buf))-k {
		return nil, nil, nil, false
	}
	return buf[:k], buf[k : k+v], buf[k+v:], true
}

// EachBlob are the blobs in a list. An error ends it.
func (a *Archive) EachBlob(pieces []Piece) iter.Seq2[Blob, error] {
	return func(yield func(Blob, error) bool) {
		for _, p := range pieces {
			buf, err := a.read(p)
			if err != nil {
				yield(Blob{}, err)
				return
			}
			for line := range strings.Lines(string(buf)) {
				b, err := parseBlob(line)
				if err != nil {
					err = corrupt("%s does not have a list of blobs in it: %v", a.Path(p.Digest), err)
				}
				if !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
}
