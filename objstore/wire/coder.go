package wire

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Message is a request or reply. Code visits every field in order.
type Message interface{ Code(c *Coder) }

// errMalformed is what decoding ends with.
var errMalformed = errors.New("malformed message")

// Coder writes the fields it is shown, or fills them from what was written.
type Coder struct {
	buf     []byte
	reading bool
	err     error
}

// Encode writes messages one after the other.
func Encode(all ...Message) []byte {
	var c Coder
	for _, m := range all {
		m.Code(&c)
	}
	return c.buf
}

// Decode reads them back. All of text must be used.
func Decode(text []byte, all ...Message) error {
	c := Coder{buf: text, reading: true}
	for _, m := range all {
		m.Code(&c)
	}
	if c.err == nil && len(c.buf) > 0 {
		c.fail()
	}
	if c.err != nil {
		return &objstore.Error{Op: "decode", Kind: objstore.ErrInvalid, Err: c.err}
	}
	return nil
}

// DecodeHead reads the messages text begins with, and returns what follows.
func DecodeHead(text []byte, all ...Message) (rest []byte, err error) {
	c := Coder{buf: text, reading: true}
	for _, m := range all {
		m.Code(&c)
	}
	if c.err != nil {
		return nil, &objstore.Error{Op: "decode", Kind: objstore.ErrInvalid, Err: c.err}
	}
	return c.buf, nil
}

func (c *Coder) fail() {
	c.err, c.buf = errMalformed, nil
}

func (c *Coder) uint(v *uint64) {
	if !c.reading {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	n, size := binary.Uvarint(c.buf)
	if size <= 0 {
		c.fail()
		return
	}
	*v, c.buf = n, c.buf[size:]
}

type integer interface {
	~int | ~int64 | ~uint8 | ~uint32 | ~uint64
}

// number is any integer. Negative ones take ten bytes.
func number[T integer](c *Coder, v *T) {
	n := uint64(*v)
	c.uint(&n)
	if c.reading {
		*v = T(n)
		if uint64(*v) != n {
			c.fail()
		}
	}
}

func flag(c *Coder, v *bool) {
	var n uint8
	if *v {
		n = 1
	}
	number(c, &n)
	if n > 1 {
		c.fail()
	}
	*v = n == 1
}

// take is the next n bytes, which stay part of what is decoded.
func (c *Coder) take(n uint64) []byte {
	if n > uint64(len(c.buf)) {
		c.fail()
		return nil
	}
	p := c.buf[:n:n]
	c.buf = c.buf[n:]
	return p
}

func text[T ~string](c *Coder, v *T) {
	n := uint64(len(*v))
	c.uint(&n)
	if c.reading {
		*v = T(c.take(n))
		return
	}
	c.buf = append(c.buf, *v...)
}

// blob tells nil from empty.
func blob(c *Coder, v *[]byte) {
	set := *v != nil
	if flag(c, &set); !set {
		*v = nil
		return
	}
	n := uint64(len(*v))
	c.uint(&n)
	if c.reading {
		*v = slices.Clone(c.take(n))
		if *v == nil {
			*v = []byte{}
		}
		return
	}
	c.buf = append(c.buf, *v...)
}

func moment(c *Coder, v *time.Time) {
	set := !v.IsZero()
	if flag(c, &set); !set {
		*v = time.Time{}
		return
	}
	seconds, nanos := v.Unix(), int64(v.Nanosecond())
	number(c, &seconds)
	number(c, &nanos)
	if c.reading {
		*v = time.Unix(seconds, nanos).UTC()
	}
}

// optional is what may be nil.
func optional[T any](c *Coder, v **T, code func(*Coder, *T)) {
	set := *v != nil
	if flag(c, &set); !set {
		*v = nil
		return
	}
	if c.reading {
		*v = new(T)
	}
	code(c, *v)
}

func list[T any](c *Coder, v *[]T, code func(*Coder, *T)) {
	n := uint64(len(*v))
	c.uint(&n)
	if !c.reading {
		for i := range *v {
			code(c, &(*v)[i])
		}
		return
	}
	*v = nil
	for ; n > 0 && c.err == nil; n-- {
		var item T
		code(c, &item)
		*v = append(*v, item)
	}
}

// table is a map, in the order of its keys. nil and empty are told apart.
func table[V any](c *Coder, v *map[string]V, code func(*Coder, *V)) {
	set := *v != nil
	if flag(c, &set); !set {
		*v = nil
		return
	}
	keys := slices.Sorted(maps.Keys(*v))
	list(c, &keys, text)
	if c.reading {
		*v = make(map[string]V, len(keys))
	}
	for _, key := range keys {
		value := (*v)[key]
		code(c, &value)
		if c.reading {
			(*v)[key] = value
		}
	}
}
