package record

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// sample is a record of every kind, with every field set.
type sample struct {
	name   string
	key    []byte
	value  any
	encode func(key []byte) []byte
	decode func(key, value []byte) (any, error)
}

func at(sec int64, nsec int64) time.Time { return time.Unix(sec, nsec).UTC() }

func sampleContent() Content {
	return Content{Size: 70000, Allocated: 69000, Hash: [16]byte{1, 2, 15: 9}, HashKind: HashParts, Root: []byte{1, 2, 3}}
}

func sampleObject() *Object {
	return &Object{
		ID: 300, Type: objstore.TypeFile, Version: 1 << 40, MetaVersion: 7, Content: sampleContent(),
		Modified: at(1700000000, 5),
		Attr: objstore.Attr{
			Mode: 0o6755, UID: 1000, GID: 1 << 31, Atime: at(-1, 999999999), Mtime: at(0, 0),
			Ctime: at(1<<33, 1), Btime: at(1, 0),
		},
		Rdev: 5, Target: "../there", ContentType: "text/plain",
		UserMeta:  map[string]string{"a": "1", "": ""},
		Xattrs:    map[string][]byte{"user.x": {0, 255}, "user.empty": {}},
		Checksums: map[string][]byte{"crc32c": {1, 2, 3, 4}},
		Explicit:  true,
		Place:     Place{Parent: 9, Stored: "naïve\x00name"},
	}
}

func sampleDir() *Object {
	return &Object{
		ID: 2, Type: objstore.TypeDir, Version: 1, MetaVersion: 2, Modified: at(5, 6), Explicit: true,
		Place: Place{Parent: 1, Stored: "dir/"}, Children: 12, Subdirs: 3,
		Unknown: []byte{0x9f, 1, 'x'},
	}
}

func sampleLinked() *Object {
	o := sampleObject()
	o.Links, o.Place = 2, Place{}
	return o
}

func sampleGaps() *Conflict {
	c := sampleConflict()
	c.Gaps = true
	return c
}

func sampleConflict() *Conflict {
	c := &Conflict{Conflict: objstore.Conflict{
		ID: "20260102T030405Z-1a2b3c4d", Reason: objstore.ReasonLost, Path: "a/b", Object: 300, UID: 1, GID: 2,
		Mode: 0o600, PID: 77, Host: "host", Time: at(1767322000, 1), Operation: "close", Bytes: 70000, Detail: "why",
	}}
	c.Mine = Side{ContentRef: objstore.ContentRef{Exists: true, Held: true, Size: 70000}, Lineage: 901, Content: sampleContent()}
	c.Base = Side{ContentRef: objstore.ContentRef{Exists: true, Version: "1a", ETag: "e-v1a", Size: 4}}
	c.Conflict.Base, c.Conflict.Theirs = c.Base.ContentRef, c.Theirs.ContentRef
	return c
}

// one makes a sample from a typed encoder and decoder.
func one[T any](name string, key []byte, v T, encode func([]byte, T) []byte, decode func(key, value []byte) (T, error)) sample {
	return sample{name, key, v,
		func(key []byte) []byte { return encode(key, v) },
		func(key, value []byte) (any, error) { return decode(key, value) },
	}
}

func entryObject(key, value []byte) (*Object, error) {
	o, _, err := DecodeEntry(key, value)
	return o, err
}

func freeObject(key, value []byte) (*Object, error) {
	o, _, err := DecodeObject(key, value)
	return o, err
}

func samples() []sample {
	file, dir, linked, described := sampleObject(), sampleDir(), sampleLinked(), sampleDescribed()
	id := "20260102T030405Z-1a2b3c4d"
	return []sample{
		one("embedded", EntryKey(file.Place), file, EncodeObject, entryObject),
		one("directory", ObjectKey(dir.ID), dir, EncodeObject, freeObject),
		one("linked", ObjectKey(linked.ID), linked, EncodeObject, freeObject),
		one("ref", EntryKey(Place{9, "a/"}), Ref{ID: 44, Dir: true}, EncodeRef, func(key, value []byte) (Ref, error) {
			_, r, err := DecodeEntry(key, value)
			return r, err
		}),
		one("place", ObjectKey(44), Place{9, "a"}, EncodePlace, func(key, value []byte) (Place, error) {
			_, p, err := DecodeObject(key, value)
			return p, err
		}),
		one("bucket", BucketKey("main"), Bucket{Root: 1, Created: at(7, 8)}, EncodeBucket, DecodeBucket),
		one("sequence", SequenceKey(), Sequence{Blobs: []Blob{{2, 10, 1 << 63}, {3, 11, 0}}, Objects: 1000}, EncodeSequence, DecodeSequence),
		one("garbage", GarbageKey(12), &Garbage{
			Lineage: 300, Version: 5, Dropped: []PayloadRef{{1, 2}, {4, 3}}, Freed: []uint64{8, 9},
			Unlink: []PayloadRef{{2, 7}}, Content: sampleContent(),
		}, EncodeGarbage, DecodeGarbage),
		one("refs", RefsKey(4, 8), Refs{Count: 3, Garbage: 12}, EncodeRefs, DecodeRefs),
		one("payload", PayloadKey(6), []byte("inline bytes"), EncodePayload, DecodePayload),
		one("conflict", ConflictKey(1, id), sampleConflict(), EncodeConflict, DecodeConflict),
		one("conflict-with-gaps", ConflictKey(1, id), sampleGaps(), EncodeConflict, DecodeConflict),
		one("outcome", OutcomeKey(1, "write-1"), &Outcome{
			Request: [16]byte{15: 1}, Kind: objstore.ErrPrecondition, Winner: "e-v1", Object: linked, Extra: []byte{1},
		}, EncodeOutcome, DecodeOutcome),
		one("described", ObjectKey(described.ID), described, EncodeObject, freeObject),
		one("upload", UploadKey(1, "a/\x00b", 77), sampleUpload(), EncodeUpload, DecodeUpload),
		one("part", PartKey(77, 10_000), &Part{
			ID: 78, Content: sampleContent(), ETag: "e-v4e", Checksum: objstore.Checksum{Algorithm: "SHA1", Value: "x="}, Modified: at(3, 4),
		}, EncodePart, DecodePart),
		one("layout", LayoutKey(300, 2), Layout{
			{Number: 1, Size: 5 << 20, Checksum: objstore.Checksum{Algorithm: "CRC32", Value: "AAAAAA=="}}, {Number: 3},
		}, EncodeLayout, DecodeLayout),
		one("document", DocumentKey(1, "policy"), []byte("{}"), EncodePayload, DecodePayload),
	}
}

func sampleUpload() *Upload {
	return &Upload{
		Initiated: at(9, 10), Was: 5, Gone: true, Closed: true, Parts: 79,
		Options: objstore.UploadOptions{
			ContentType: "a/b", UserMeta: map[string]string{"a": ""}, Tags: map[string]string{"t": "1"},
			Headers: objstore.Headers{Expires: "soon"}, Attr: &objstore.NewAttr{Mode: 0o600, UID: 1, GID: 2},
			ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE",
		},
	}
}

// sampleDescribed has all that an S3 server keeps.
func sampleDescribed() *Object {
	o := sampleLinked()
	o.ShownETag, o.PartCount, o.Tags = "0123456789abcdef0123456789abcdef-2", 2, map[string]string{"a": "b", "c": ""}
	o.Headers = objstore.Headers{
		CacheControl: "1", ContentDisposition: "2", ContentEncoding: "3", ContentLanguage: "4", Expires: "5", WebsiteRedirect: "6",
	}
	return o
}

// TestRecordsDecodeForEver: what was written by the first version of this format, kept in
// testdata, is still understood, and is what would be written today.
func TestRecordsDecodeForEver(t *testing.T) {
	golden := map[string][]string{}
	p, err := os.ReadFile(filepath.Join("testdata", "records.txt"))
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(p)) {
		if fields := strings.Fields(line); len(fields) == 3 {
			golden[fields[0]] = fields[1:]
		}
	}
	for _, s := range samples() {
		key, value := hex.EncodeToString(s.key), hex.EncodeToString(s.encode(s.key))
		old := golden[s.name]
		if len(old) != 2 || old[0] != key || old[1] != value {
			t.Errorf("%s: testdata has %v, today it is\n%s %s %s", s.name, old, s.name, key, value)
			continue
		}
		oldKey, _ := hex.DecodeString(old[0])
		oldValue, _ := hex.DecodeString(old[1])
		got, err := s.decode(oldKey, oldValue)
		if err != nil || !reflect.DeepEqual(got, s.value) {
			t.Errorf("%s: %v\n got %+v\nwant %+v", s.name, err, got, s.value)
		}
	}
}

// TestDamagedRecordsAreCorrupt: any flipped bit, any other key, any cut is noticed, without a panic. C11
func TestDamagedRecordsAreCorrupt(t *testing.T) {
	for _, s := range samples() {
		value := s.encode(s.key)
		for bit := range 8 * len(value) {
			bad := bytes.Clone(value)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := s.decode(s.key, bad); objstore.KindOf(err) != objstore.ErrCorrupt {
				t.Fatalf("%s with bit %d flipped: %v", s.name, bit, err)
			}
		}
		for n := range value {
			if _, err := s.decode(s.key, value[:n]); objstore.KindOf(err) != objstore.ErrCorrupt {
				t.Fatalf("%s cut to %d: %v", s.name, n, err)
			}
		}
		other := bytes.Clone(s.key)
		other[len(other)-1] ^= 1
		if _, err := s.decode(other, value); objstore.KindOf(err) != objstore.ErrCorrupt {
			t.Fatalf("%s under another key: %v", s.name, err)
		}
	}
}

// TestFieldsOfNewerPrograms: an unknown critical field, kind or version refuses the record; an
// unknown optional field stays in it.
func TestFieldsOfNewerPrograms(t *testing.T) {
	key := ObjectKey(2)
	dir := sampleDir()
	with := func(extra ...byte) []byte {
		o := dir.Clone()
		o.Unknown = extra
		return EncodeObject(key, o)
	}
	if _, err := freeObject(key, with(0x7f, 1, 'x')); objstore.KindOf(err) != objstore.ErrNewerFormat {
		t.Errorf("critical: %v", err)
	}
	o, err := freeObject(key, with(0x9e, 2, 'x', 'y'))
	if err != nil || !bytes.Equal(o.Unknown, []byte{0x9e, 2, 'x', 'y'}) {
		t.Errorf("optional: %v, %x", err, o.Unknown)
	}
	newer := &encoder{buf: []byte{version + 1, byte(kindObject)}}
	if _, err := freeObject(key, newer.finish(key, nil)); objstore.KindOf(err) != objstore.ErrNewerFormat {
		t.Errorf("version: %v", err)
	}
}

// TestDecodingTakesAnyFields: fields of any content, under a good checksum, never panic.
func TestDecodingTakesAnyFields(t *testing.T) {
	const seed = 3
	random := rand.New(rand.NewPCG(seed, seed))
	all := samples()
	for n := range 20000 {
		s := all[n%len(all)]
		value := s.encode(s.key)
		e := &encoder{buf: bytes.Clone(value[:len(value)-checksumBytes])}
		for range 1 + random.IntN(4) {
			e.buf[1+random.IntN(len(e.buf)-1)] = byte(random.Uint32())
		}
		got, err := s.decode(s.key, e.finish(s.key, nil))
		if err != nil {
			kind := objstore.KindOf(err)
			if kind != objstore.ErrCorrupt && kind != objstore.ErrNewerFormat {
				t.Fatalf("seed %d: %s: %v", seed, s.name, err)
			}
		} else if got == nil {
			t.Fatalf("seed %d: %s: neither value nor error", seed, s.name)
		}
	}
}

// TestKeysSortAsS3Sorts: in one directory, entries are in the order of full keys.
func TestKeysSortAsS3Sorts(t *testing.T) {
	names := []string{"a", "a-b", "a/", "a0", "b"}
	for i := 1; i < len(names); i++ {
		if bytes.Compare(EntryKey(Place{1, names[i-1]}), EntryKey(Place{1, names[i]})) >= 0 {
			t.Errorf("%q is not before %q", names[i-1], names[i])
		}
	}
}
