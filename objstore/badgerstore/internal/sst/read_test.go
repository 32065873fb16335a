package sst_test

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/sst"
)

// testEntries are n entries whose values say what they are of; every seventh is a mark of deletion.
func testEntries(n int) (all []sst.Entry) {
	for i := range n {
		key := fmt.Appendf(nil, "directory %02d/file %04d", i/100, i)
		body := fmt.Appendf(nil, "%s is %s", key, bytes.Repeat([]byte("x"), i%300))
		value := fmt.Appendf(body, "%08x", crc32.ChecksumIEEE(body))
		e := sst.Entry{Key: y.KeyWithTs(key, uint64(1000+i)), Value: y.ValueStruct{Value: value}}
		if i%7 == 0 {
			e.Value = y.ValueStruct{Meta: 1}
		}
		all = append(all, e)
	}
	return all
}

func isWhole(key, value []byte) bool {
	at := len(value) - 8
	return at >= 0 && bytes.HasPrefix(value, key) && fmt.Sprintf("%08x", crc32.ChecksumIEEE(value[:at])) == string(value[at:])
}

func options() badger.Options { return badger.DefaultOptions("").WithCompression(0) }

// Of a table that is whole everything is read, and nothing is lost.
func TestWholeTableIsReadWhole(t *testing.T) {
	want := testEntries(2000)
	got, lost := sst.Read(sst.Write(want, options()), 0, isWhole)
	if len(lost) > 0 || len(got) != len(want) {
		t.Fatalf("%d entries of %d, lost %v", len(got), len(want), lost)
	}
	for i := range want {
		if !bytes.Equal(got[i].Key, want[i].Key) || !bytes.Equal(got[i].Value.Value, want[i].Value.Value) || got[i].IsDeleted() != want[i].IsDeleted() {
			t.Errorf("%q is %q", want[i].Key, got[i].Key)
		}
	}
}

// damages are what can be the matter with a table.
var damages = []struct {
	name   string
	most   int // entries that may be lost
	break_ func(p []byte, random *rand.Rand) []byte
}{
	{"a bit", 120, func(p []byte, random *rand.Rand) []byte {
		p[random.IntN(len(p))] ^= 1 << random.IntN(8)
		return p
	}},
	{"a page of zeros", 250, func(p []byte, random *rand.Rand) []byte {
		off := random.IntN(len(p)-4096) &^ 4095
		clear(p[off : off+4096])
		return p
	}},
	{"the end is gone", 0, func(p []byte, _ *rand.Rand) []byte { return p[:len(p)-1000] }},
	{"the index, and a page", 250, func(p []byte, random *rand.Rand) []byte {
		clear(p[len(p)-5000:])
		off := random.IntN(len(p)/2) &^ 4095
		clear(p[off : off+4096])
		return p
	}},
}

// What is read of a damaged table was in it, in order; what is not is between the keys that are told. Only values that say themselves that they are
// damaged are others than those that were written.
func TestWhatIsReadOfADamagedTableWasInIt(t *testing.T) {
	want := testEntries(2000)
	values := map[string]sst.Entry{}
	for _, e := range want {
		values[string(e.Key)] = e
	}
	good := sst.Write(want, options())
	for _, row := range damages {
		for seed := range uint64(200) {
			got, lost := sst.Read(row.break_(bytes.Clone(good), rand.New(rand.NewPCG(seed, 0))), 0, isWhole)
			read := map[string]bool{}
			for i, e := range got {
				if i > 0 && y.CompareKeys(got[i-1].Key, e.Key) >= 0 {
					t.Fatalf("%s, seed %d: %q is behind %q", row.name, seed, e.Key, got[i-1].Key)
				}
				read[string(e.Key)] = true
				is := values[string(e.Key)]
				if e.IsDeleted() && !is.IsDeleted() || !e.IsDeleted() && isWhole(y.ParseKey(e.Key), e.Value.Value) && !bytes.Equal(e.Value.Value, is.Value.Value) {
					if row.name != "a bit" { // which may be in a version, or be the mark
						t.Errorf("%s, seed %d: %q is another", row.name, seed, e.Key)
					}
				}
			}
			missing := 0
			for _, e := range want {
				if !read[string(e.Key)] {
					missing++
					if !isTold(lost, y.ParseKey(e.Key)) {
						t.Errorf("%s, seed %d: nobody is told that %q is lost", row.name, seed, e.Key)
					}
				}
			}
			if missing > row.most {
				t.Errorf("%s, seed %d: %d are lost", row.name, seed, missing)
			}
		}
	}
}

// A version is in no record, so that damage can make one that was never given out: a store that believed it would have no next one.
func TestVersionsThatWereNeverGivenOutAreNotBelieved(t *testing.T) {
	var want []sst.Entry
	const newest = 1000
	add := func(key string, version uint64) {
		body := fmt.Appendf(nil, "%s is %d", key, version)
		value := fmt.Appendf(body, "%08x", crc32.ChecksumIEEE(body))
		want = append(want, sst.Entry{Key: y.KeyWithTs([]byte(key), version), Value: y.ValueStruct{Value: value}})
	}
	for i := range newest {
		add(fmt.Sprintf("a%04d", i), uint64(i))
	}
	for version := uint64(newest); version > 0; version-- {
		add("k", version)
	}
	good := sst.Write(want, options())
	first := bytes.Index(good, []byte("k is"))
	for _, length := range []int{8, 4096} {
		for begin := first - 4200; begin < first+50; begin++ {
			p := bytes.Clone(good)
			clear(p[begin : begin+length])
			entries, _ := sst.Read(p, newest, isWhole)
			if len(entries) < len(want)/2 {
				t.Errorf("%d zeros at %d: only %d of %d are read", length, begin, len(entries), len(want))
			}
			for _, e := range entries {
				if version := y.ParseTs(e.Key); version > newest {
					t.Fatalf("%d zeros at %d: version %d of %q", length, begin, version, y.ParseKey(e.Key))
				}
			}
		}
	}
}

// isTold reports whether a key is in one of the parts that are lost.
func isTold(lost []sst.Loss, key []byte) bool {
	for _, l := range lost {
		if (l.Before == nil || bytes.Compare(key, l.Before) >= 0) && (l.After == nil || bytes.Compare(key, l.After) <= 0) {
			return true
		}
	}
	return false
}

// Of whatever a table was made into, what is read is in order, and can be a table again.
func TestWhatIsReadOfRubbleIsInOrder(t *testing.T) {
	good := sst.Write(testEntries(300), options())
	for seed := range uint64(300) {
		p := mangled(good, rand.New(rand.NewPCG(seed, 1)))
		entries, _ := sst.Read(p, 0, isWhole)
		for i, e := range entries {
			if i > 0 && y.CompareKeys(entries[i-1].Key, e.Key) >= 0 {
				t.Errorf("seed %d: %q is behind %q", seed, e.Key, entries[i-1].Key)
			}
		}
		if len(entries) == 0 {
			continue
		}
		if again, lost := sst.Read(sst.Write(entries, options()), 0, isWhole); len(again) != len(entries) || len(lost) > 0 {
			t.Errorf("seed %d: of %d entries %d are read, lost %v", seed, len(entries), len(again), lost)
		}
	}
}

// mangled is a table some bytes of which are changed, gone, or there twice.
func mangled(good []byte, random *rand.Rand) []byte {
	p := bytes.Clone(good)
	for range 1 + random.IntN(20) {
		at := random.IntN(len(p) + 1)
		switch random.IntN(3) {
		case 0:
			p = append(p[:at:at], append(bytes.Clone(good[:random.IntN(len(good))]), p[at:]...)...)
		case 1:
			p = append(p[:at:at], p[at+random.IntN(len(p)+1-at):]...)
		default:
			if at < len(p) {
				p[at] ^= 1 << random.IntN(8)
			}
		}
	}
	return p
}
