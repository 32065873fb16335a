package fs

import (
	"encoding/binary"
	"hash/maphash"

	"github.com/etagfs/etagfs/objstore"
)

// cookies gives each name of a listing a number, the same however often it is listed. Names come in order, so one is
// kept as what differs from the one before it; and listed again, mostly in the order they had, so that they are only looked
// for once a listing is not what it was. Beside each stands what it was a name of when it was added. A million names of a kind take a
// few megabytes.
type cookies struct {
	coded  []byte // of each name: how much it shares with the one before it, the length of the rest, the rest, the type, the object as a difference
	starts []int  // where every namesOfRun-th begins, which shares nothing
	last   named  // what was added last
	count  int
	length int // of all names together

	next    int // the number of the name that comes next, if the listing is what it was
	seed    maphash.Seed
	numbers map[uint64]uint32 // by the hash of the name; nil: not needed yet
}

// named is a name and what has it.
type named struct {
	name   []byte
	object objstore.ID
	typ    objstore.FileType
}

// namesOfRun is how many names at most are gone through to find one by its number.
const namesOfRun = 16

// goTo begins a listing, or goes on with one behind as many names; it reports whether there were so many.
func (c *cookies) goTo(names uint64) bool {
	c.next = int(min(names, uint64(c.count)))
	return names <= uint64(c.count)
}

// bytes is how much memory the names take.
func (c *cookies) bytes() int {
	const hashed = 32 // about what an entry of a map takes
	return cap(c.coded) + 8*cap(c.starts) + hashed*len(c.numbers)
}

// nameBytes is how long a name is to be expected: as those are in the middle.
func (c *cookies) nameBytes() int {
	const unknown = 16
	if c.count == 0 {
		return unknown
	}
	return c.length/c.count + 1
}

// number is that of a name, which is added unless it is there.
func (c *cookies) number(name string, object objstore.ID, typ objstore.FileType) int {
	if c.numbers == nil {
		c.next++
		switch {
		case c.next > c.count:
			return c.add(name, object, typ)
		case c.at(c.next-1) == name:
			return c.next - 1
		}
		c.hashAll()
	}
	hash := maphash.String(c.seed, name)
	if i, ok := c.numbers[hash]; ok && c.at(int(i)) == name {
		return int(i)
	}
	c.numbers[hash] = uint32(c.count)
	return c.add(name, object, typ)
}

// hashAll makes the numbers be known by the names.
func (c *cookies) hashAll() {
	c.seed, c.numbers = maphash.MakeSeed(), make(map[uint64]uint32, c.count)
	for w := c.from(0); w.next(); {
		c.numbers[maphash.Bytes(c.seed, w.name)] = uint32(w.number - 1)
	}
}

// at is the name of a number that was given out.
func (c *cookies) at(number int) string {
	w := c.from(number)
	w.next()
	return string(w.name)
}

// cookieWalk goes through what cookies keep. Nothing is added meanwhile.
type cookieWalk struct {
	named
	c      *cookies
	number int // of what comes next
	rest   []byte
}

// from begins a walk at a number, which may be the next to be given out.
func (c *cookies) from(number int) cookieWalk {
	w := cookieWalk{c: c, number: number}
	if run := number / namesOfRun; run < len(c.starts) {
		w.number, w.rest = run*namesOfRun, c.coded[c.starts[run]:]
	}
	for w.number < number {
		w.next()
	}
	return w
}

// next decodes what comes next, if there is anything. It is good until the next call.
func (w *cookieWalk) next() bool {
	if w.number == w.c.count {
		return false
	}
	if w.number%namesOfRun == 0 {
		w.object = 0
	}
	shared, end := int(w.rest[0]), 2+int(w.rest[1])
	w.name, w.typ = append(w.name[:shared], w.rest[2:end]...), objstore.FileType(w.rest[end])
	difference, bytes := binary.Varint(w.rest[end+1:])
	w.object += objstore.ID(difference)
	w.number, w.rest = w.number+1, w.rest[end+1+bytes:]
	return true
}

// add appends a name of at most 255 bytes.
func (c *cookies) add(name string, object objstore.ID, typ objstore.FileType) (number int) {
	shared := 0
	if c.count%namesOfRun == 0 {
		c.starts = append(c.starts, len(c.coded))
		c.last.object = 0
	} else {
		for shared < min(len(name), len(c.last.name)) && name[shared] == c.last.name[shared] {
			shared++
		}
	}
	c.coded = append(c.coded, byte(shared), byte(len(name)-shared))
	c.coded = append(c.coded, name[shared:]...)
	c.coded = append(c.coded, byte(typ))
	c.coded = binary.AppendVarint(c.coded, int64(object-c.last.object))
	c.last.name, c.last.object = append(c.last.name[:0], name...), object
	c.length += len(name)
	c.count++
	return c.count - 1
}
