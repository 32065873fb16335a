package objstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/quick"

	"github.com/etagfs/etagfs/objstore"
)

func TestCondCheckIsTheWholeTable(t *testing.T) {
	const current, other = objstore.Version("2"), objstore.Version("1")
	for _, row := range []struct {
		cond            objstore.Cond
		present, absent error
	}{
		{objstore.Cond{}, objstore.ErrInvalid, objstore.ErrInvalid},
		{objstore.IfVersion(""), objstore.ErrInvalid, objstore.ErrInvalid},
		{objstore.Unconditional(), nil, nil},
		{objstore.IfAbsent(), objstore.ErrPrecondition, nil},
		{objstore.IfPresent(), nil, objstore.ErrNotFound},
		{objstore.IfVersion(current), nil, objstore.ErrNotFound},
		{objstore.IfVersion(other), objstore.ErrPrecondition, objstore.ErrNotFound},
	} {
		if err := row.cond.Check(current, true); err != row.present {
			t.Errorf("%v, present: %v instead of %v", row.cond, err, row.present)
		}
		if err := row.cond.Check("", false); err != row.absent {
			t.Errorf("%v, absent: %v instead of %v", row.cond, err, row.absent)
		}
		// A version that is not there does not count.
		if err := row.cond.Check(current, false); err != row.absent {
			t.Errorf("%v, absent with a version: %v instead of %v", row.cond, err, row.absent)
		}
		if lost := row.cond.Check(current, true); lost != nil && lost != objstore.ErrInvalid && !objstore.IsLostCondition(lost) {
			t.Errorf("%v: %v is no lost condition", row.cond, lost)
		}
	}
}

func TestCondTellsWhatItIs(t *testing.T) {
	for _, row := range []struct {
		cond                         objstore.Cond
		text                         string
		valid, absent, unconditional bool
		version                      objstore.Version
	}{
		{objstore.Cond{}, "invalid", false, false, false, ""},
		{objstore.Unconditional(), "unconditional", true, false, true, ""},
		{objstore.IfAbsent(), "if-absent", true, true, false, ""},
		{objstore.IfPresent(), "if-present", true, false, false, ""},
		{objstore.IfVersion("1a"), "if-version=1a", true, false, false, "1a"},
	} {
		version, has := row.cond.Version()
		if row.cond.String() != row.text || row.cond.Valid() != row.valid || row.cond.IsIfAbsent() != row.absent ||
			row.cond.IsUnconditional() != row.unconditional || version != row.version || has != (row.version != "") {
			t.Errorf("%v: %v %v %v %v %q %v", row.text, row.cond, row.cond.Valid(), row.cond.IsIfAbsent(),
				row.cond.IsUnconditional(), version, has)
		}
	}
}

func TestCondSetsHoldKinds(t *testing.T) {
	all := []objstore.Cond{objstore.Unconditional(), objstore.IfAbsent(), objstore.IfPresent(), objstore.IfVersion("1")}
	for i, c := range all {
		set := objstore.CondsOf(c)
		for j, other := range all {
			if set.Has(other) != (i == j) {
				t.Errorf("the set of %v has %v: %v", c, other, set.Has(other))
			}
		}
		if !objstore.AllConds().Has(c) || objstore.CondSet(0).Has(c) {
			t.Errorf("%v is missing from all, or in none", c)
		}
	}
	if !objstore.CondsOf(objstore.IfVersion("1")).Has(objstore.IfVersion("2")) {
		t.Error("the version counts")
	}
	if objstore.AllConds().Has(objstore.Cond{}) {
		t.Error("the invalid condition is one of all")
	}
}

func TestEveryKindSaysWhatItMeans(t *testing.T) {
	texts := map[string]objstore.Kind{}
	for _, k := range objstore.Kinds() {
		if k.Error() == "unclassified" || texts[k.Error()] != 0 {
			t.Errorf("kind %d: %q, as kind %d", k, k.Error(), texts[k.Error()])
		}
		texts[k.Error()] = k
		if unknown := k == objstore.ErrUnknown; (k.Applied() == objstore.OutcomeUnknown) != unknown || (k.Retry() == objstore.RetryResolve) != unknown {
			t.Errorf("%v: applied %v, retry %v", k, k.Applied(), k.Retry())
		}
	}
	if len(texts) != len(objstore.Kinds()) || len(texts) < 19 {
		t.Errorf("%d kinds", len(texts))
	}
	for _, k := range []objstore.Kind{0, objstore.Kind(len(texts) + 1)} {
		if k.Applied() != objstore.OutcomeUnknown || k.Retry() != objstore.RetryNo {
			t.Errorf("an unclassified failure is taken for known: %d", k)
		}
	}
}

func TestErrorsAreFoundThroughWrapping(t *testing.T) {
	inner := &objstore.Error{Op: "put", Key: "a/b", Kind: objstore.ErrNoSpace, Err: io.ErrShortWrite}
	err := fmt.Errorf("close: %w", inner)
	if !errors.Is(err, objstore.ErrNoSpace) || !errors.Is(err, io.ErrShortWrite) || errors.Is(err, objstore.ErrNotFound) {
		t.Errorf("%v is not what it is", err)
	}
	if objstore.KindOf(err) != objstore.ErrNoSpace {
		t.Errorf("kind %v", objstore.KindOf(err))
	}
	outer := &objstore.Error{Op: "close", Kind: objstore.ErrUnknown, Err: inner}
	if objstore.KindOf(outer) != objstore.ErrUnknown {
		t.Errorf("the outermost kind does not count: %v", objstore.KindOf(outer))
	}
	if !errors.Is(outer, objstore.ErrNoSpace) {
		t.Error("the cause's kind is lost")
	}
	for err, want := range map[error]objstore.Kind{
		nil: 0, io.EOF: 0, context.Canceled: 0, objstore.ErrRange: objstore.ErrRange,
		fmt.Errorf("x: %w", objstore.ErrClosed): objstore.ErrClosed,
	} {
		if got := objstore.KindOf(err); got != want {
			t.Errorf("kind of %v: %v instead of %v", err, got, want)
		}
	}
}

func TestErrorsAreSentences(t *testing.T) {
	for want, err := range map[string]error{
		"put a/b: condition failed":            &objstore.Error{Op: "put", Key: "a/b", Kind: objstore.ErrPrecondition},
		"sync: unavailable: EOF":               &objstore.Error{Op: "sync", Kind: objstore.ErrUnavailable, Err: io.EOF},
		"open store /x: process 7 has it":      &objstore.Error{Op: "open store", Key: "/x", Kind: objstore.ErrInUse, Detail: "process 7 has it"},
		"put k: the disk is full: short write": &objstore.Error{Op: "put", Key: "k", Kind: objstore.ErrNoSpace, Detail: "the disk is full", Err: io.ErrShortWrite},
		"outcome unknown":                      objstore.ErrUnknown,
	} {
		if err.Error() != want {
			t.Errorf("%q instead of %q", err, want)
		}
	}
}

func TestLostConditions(t *testing.T) {
	for _, k := range objstore.Kinds() {
		want := k == objstore.ErrPrecondition || k == objstore.ErrNotFound
		if objstore.IsLostCondition(&objstore.Error{Op: "put", Kind: k}) != want {
			t.Errorf("%v: %v", k, !want)
		}
	}
	if objstore.IsLostCondition(nil) {
		t.Error("success is a lost condition")
	}
}

func TestEscapesAreThoseDocumented(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, row := range []struct {
		component  string
		besideDir  bool
		name       string
		reversible bool
	}{
		{"plain", false, "plain", true},
		{"...", false, "...", true},
		{"%etagfs", false, "%etagfs", true},
		{"\xff\x01", false, "\xff\x01", true},
		{long[:255], false, long[:255], true},
		{"", false, "%etagfs:empty", true},
		{".", false, "%etagfs:dot", true},
		{"..", false, "%etagfs:dotdot", true},
		{"a", true, "%etagfs:file:a", true},
		{".", true, "%etagfs:file:.", true},
		{"%etagfs:", false, "%etagfs:literal:%etagfs:", true},
		{"%etagfs:dot", false, "%etagfs:literal:%etagfs:dot", true},
		{"%etagfs:dot", true, "%etagfs:file:%etagfs:dot", true},
		// FNV-1a 128 of 256 times "x", of "a" NUL "b", and of the escape that is too long.
		{long, false, "%etagfs:long:" + fnv1a128(long), false},
		{"a\x00b", false, "%etagfs:long:" + fnv1a128("a\x00b"), false},
		{long[:250], true, "%etagfs:long:" + fnv1a128("%etagfs:file:"+long[:250]), false},
	} {
		name := objstore.EscapeName(row.component, row.besideDir)
		if name != row.name {
			t.Errorf("%.20q, beside %v: %q instead of %q", row.component, row.besideDir, name, row.name)
		}
		component, besideDir, hashed := objstore.Unescape(name)
		if hashed == row.reversible || row.reversible && (component != row.component || besideDir != row.besideDir) {
			t.Errorf("%q back: %q, %v, %v", name, component, besideDir, hashed)
		}
	}
}

// fnv1a128 is the hash by its definition, digit by digit.
func fnv1a128(s string) string {
	// offset basis 0x6c62272e07bb014262b821756295c58d, prime 2^88 + 0x13b
	hi, lo := uint64(0x6c62272e07bb0142), uint64(0x62b821756295c58d)
	for i := range len(s) {
		lo ^= uint64(s[i])
		const low, shift = 0x13b, 24
		carry := mulHi(lo, low)
		hi = hi*low + carry + lo<<shift
		lo *= low
	}
	return fmt.Sprintf("%016x%016x", hi, lo)
}

func mulHi(a, b uint64) uint64 {
	mid := (a>>32)*b + (a&0xffffffff)*b>>32
	return mid >> 32
}

func TestEscapesAreNamesAndDistinct(t *testing.T) {
	seen := map[string]string{}
	check := func(component string, besideDir bool) bool {
		component = strings.ReplaceAll(component, "/", "")
		name := objstore.EscapeName(component, besideDir)
		what := fmt.Sprintf("%q %v", component, besideDir)
		if earlier, ok := seen[name]; ok && earlier != what {
			t.Errorf("%s and %s are both %q", earlier, what, name)
		}
		seen[name] = what
		return name != "" && name != "." && name != ".." && len(name) <= objstore.NameBytesMax && !strings.ContainsAny(name, "/\x00")
	}
	for _, odd := range []string{"", ".", "..", "%etagfs:", "%etagfs:file:a", "%etagfs:literal:", "%etagfs:long:00", "%etagfs:empty", "a", strings.Repeat("y", 400)} {
		for _, beside := range []bool{false, true} {
			if !check(odd, beside) {
				t.Errorf("%q, beside %v: %q is no name", odd, beside, objstore.EscapeName(odd, beside))
			}
		}
	}
	if err := quick.Check(check, nil); err != nil {
		t.Error(err)
	}
}

func TestETagsAreMadeAndTakenApart(t *testing.T) {
	hash := [16]byte{0x01, 0xab, 15: 0xff}
	etag := objstore.MakeETag(hash, objstore.VersionOf(0x1f2e))
	if etag != "01ab00000000000000000000000000ff-v1f2e" {
		t.Errorf("%q", etag)
	}
	back := func(hash [16]byte, n uint64) bool {
		etag := objstore.MakeETag(hash, objstore.VersionOf(n))
		h, v, ok := etag.Split()
		number, numeric := v.Number()
		return ok && h == hash && numeric && number == n
	}
	if err := quick.Check(back, nil); err != nil {
		t.Error(err)
	}
	for _, bad := range []objstore.ETag{
		"", "-v1", "d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e-1", "d41d8cd98f00b204e9800998ecf8427e-v",
		"d41d8cd98f00b204e9800998ecf8427e-v01", "d41d8cd98f00b204e9800998ecf8427e-vG", "D41D8CD98F00B204E9800998ECF8427E-v1",
		"d41d8cd98f00b204e9800998ecf8427-v1", "d41d8cd98f00b204e9800998ecf8427eaa-v1", "x41d8cd98f00b204e9800998ecf8427e-v1",
		"d41d8cd98f00b204e9800998ecf8427e-v10000000000000000",
	} {
		if _, _, ok := bad.Split(); ok {
			t.Errorf("%q is taken for one of ours", bad)
		}
		if c := bad.Content(); c != bad {
			t.Errorf("of %q only %q tells the bytes", bad, c)
		}
	}
	later, other := objstore.MakeETag(hash, objstore.VersionOf(7)), objstore.MakeETag([16]byte{1}, objstore.VersionOf(7))
	if later.Content() != etag.Content() || other.Content() == etag.Content() {
		t.Errorf("%q, %q and %q tell bytes apart as %q, %q and %q", etag, later, other, etag.Content(), later.Content(), other.Content())
	}
}

func TestVersionsAreNumbers(t *testing.T) {
	if v := objstore.VersionOf(255); v != "ff" {
		t.Errorf("%q", v)
	}
	for _, bad := range []objstore.Version{"", "FF", "0f", "-1", "+1", "g", "10000000000000000"} {
		if n, ok := bad.Number(); ok {
			t.Errorf("%q is %d", bad, n)
		}
	}
}

func TestAttrChangeIsZeroWhenNothingChanges(t *testing.T) {
	if !(objstore.AttrChange{}).IsZero() {
		t.Error("the zero change changes something")
	}
	for i, c := range []objstore.AttrChange{
		{Mode: new(uint32)}, {UID: new(uint32)}, {GID: new(uint32)}, {ContentType: new("")},
		{UserMeta: map[string]string{}}, {Xattrs: map[string][]byte{"a": nil}},
	} {
		if c.IsZero() {
			t.Errorf("change %d changes nothing", i)
		}
	}
	if !slices.Contains(objstore.Kinds(), objstore.ErrClosed) {
		t.Error("the last kind is missing")
	}
}

// Stores keep these numbers on the disk: a kind in the middle would change what they mean.
func TestStoredNumbersStay(t *testing.T) {
	for _, c := range []struct {
		what       string
		have, want uint8
	}{
		{"not found", uint8(objstore.ErrNotFound), 1},
		{"condition failed", uint8(objstore.ErrPrecondition), 2},
		{"closed", uint8(objstore.ErrClosed), 19},
		{"file", uint8(objstore.TypeFile), 1},
		{"directory", uint8(objstore.TypeDir), 2},
		{"block device", uint8(objstore.TypeBlockDevice), 7},
		{"lost", uint8(objstore.ReasonLost), 1},
		{"crash", uint8(objstore.ReasonCrash), 4},
	} {
		if c.have != c.want {
			t.Errorf("%s is %d, stores say %d", c.what, c.have, c.want)
		}
	}
}
