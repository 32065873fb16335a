package fs

import "hash/maphash"

// cookies gives each name of a listing a number, the same however often it is listed. Names come in order, so one is
// kept as what differs from the one before it; and listed again, mostly in the order they had, so that they are only looked
// for once a listing is not what it was. A million names of a kind take a few megabytes.
type cookies struct {
	coded  []byte // of each name: how much it shares with the one before it, the length of the rest, the rest
	starts []int  // where every namesOfRun-th begins, which shares nothing
	last   []byte // the name added last
	count  int
	length int // of all names together

	next    int // the number of the name that comes next, if the listing is what it was
	seed    maphash.Seed
	numbers map[uint64]uint32 // by the hash of the name; nil: not needed yet
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
func (c *cookies) number(name string) int {
	if c.numbers == nil {
		c.next++
		switch {
		case c.next > c.count:
			return c.add(name)
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
	return c.add(name)
}

// hashAll makes the numbers be known by the names.
func (c *cookies) hashAll() {
	c.seed, c.numbers = maphash.MakeSeed(), make(map[uint64]uint32, c.count)
	var name []byte
	for i, rest := 0, c.coded; i < c.count; i++ {
		name, rest = nextName(name, rest)
		c.numbers[maphash.Bytes(c.seed, name)] = uint32(i)
	}
}

// at is the name of a number that was given out.
func (c *cookies) at(number int) string {
	var name []byte
	rest := c.coded[c.starts[number/namesOfRun]:]
	for range number%namesOfRun + 1 {
		name, rest = nextName(name, rest)
	}
	return string(name)
}

// nextName decodes the first of the coded names, which comes after another that it may overwrite.
func nextName(before, coded []byte) (name, rest []byte) {
	shared, end := int(coded[0]), 2+int(coded[1])
	return append(before[:shared], coded[2:end]...), coded[end:]
}

// add appends a name of at most 255 bytes.
func (c *cookies) add(name string) (number int) {
	shared := 0
	if c.count%namesOfRun == 0 {
		c.starts = append(c.starts, len(c.coded))
	} else {
		for shared < min(len(name), len(c.last)) && name[shared] == c.last[shared] {
			shared++
		}
	}
	c.coded = append(c.coded, byte(shared), byte(len(name)-shared))
	c.coded = append(c.coded, name[shared:]...)
	c.last = append(c.last[:0], name...)
	c.length += len(name)
	c.count++
	return c.count - 1
}
