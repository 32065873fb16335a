package fs

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// Whatever is listed, in whatever order and however often, a number stays with its name and no name gets two.
func TestCookiesStayWithTheirNames(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var c cookies
	given := make(map[string]int)
	names := []string{"", strings.Repeat("n", 255), "n", "new"}
	for range 3000 {
		if len(names) < 1000 || random.IntN(10) == 0 {
			names = append(names, fmt.Sprintf("entry-%0*d", 1+random.IntN(20), random.IntN(1000)))
		}
		if random.IntN(30) == 0 && !c.goTo(uint64(random.IntN(c.count+1))) {
			t.Fatal("a number that was given out is not known")
		}
		name := names[random.IntN(len(names))]
		before, ok := given[name]
		if ok && c.numbers == nil && before < c.next {
			continue // no listing has a name twice
		}
		n := c.number(name, idOf(name), objstore.TypeFile)
		if ok && n != before || !ok && n != len(given) {
			t.Fatalf("%q is number %d, was %d of %d", name, n, before, len(given))
		}
		given[name] = n
	}
	for name, n := range given {
		if got := c.at(n); got != name {
			t.Errorf("number %d is %q, was given to %q", n, got, name)
		}
		if w := c.from(n); !w.next() || string(w.name) != name || w.object != idOf(name) || w.typ != objstore.TypeFile {
			t.Errorf("number %d is %+v, was given to %q", n, w.named, name)
		}
	}
	if c.goTo(uint64(len(given)) + 1) {
		t.Error("a number that was not given out is known")
	}
}

// idOf is an object for a name.
func idOf(name string) objstore.ID {
	return objstore.ID(crc32.ChecksumIEEE([]byte(name))) << (len(name) % 33)
}

// The names of a large directory take a few bytes each, listed twice or not.
func TestCookiesOfALargeListingAreSmall(t *testing.T) {
	const names = 100_000
	var c cookies
	for range 2 {
		c.goTo(0)
		for i := range names {
			if n := c.number(fmt.Sprintf("entry-%08d", i), objstore.ID(1000+2*i), objstore.TypeFile); n != i {
				t.Fatalf("name %d has number %d", i, n)
			}
		}
	}
	if bytes := len(c.coded) + 8*len(c.starts); c.numbers != nil || bytes > 7*names {
		t.Errorf("%d names take %d bytes, and %d are hashed", names, bytes, len(c.numbers))
	}
}
