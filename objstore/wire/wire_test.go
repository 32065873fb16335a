package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// messages are one of each.
func messages() []Message {
	return []Message{
		&Head{}, &State{}, &None{}, &Hello{}, &Resolve{}, &Resolved{}, &Release{}, &Watch{}, &Event{}, &Lease{}, &Leased{}, &Read{}, &Seek{}, &Offset{},
		&Count{}, &Object{}, &Text{}, &Name{}, &ReadDir{}, &Entries{}, &Open{}, &Opened{}, &Make{}, &Link{}, &Info{}, &Removed{}, &Move{},
		&Moved{}, &SetAttr{}, &Push{}, &Pushed{}, &Usage{}, &Conflict{}, &Conflicts{}, &Key{}, &Put{}, &BodyEnd{}, &Copy{}, &Rename{},
		&List{}, &Page{}, &Answer{}, &Lock{}, &AwaitLock{}, &Locked{}, &Reclaim{}, &Reclaimed{}, &Failure{},
	}
}

// untold are the fields that stay on their side.
func untold() map[string]bool {
	return map[string]bool{
		"PutOptions.Finish": true, "CopyRequest.SrcBucket": true, "Change.Accessed": true,
		// What the client does not offer.
		"Capabilities.CrossBucket": true, "Capabilities.Multipart": true, "Capabilities.Append": true, "Capabilities.Tags": true,
		"Capabilities.Documents": true, "Capabilities.Feed": true, "Capabilities.AccessTimes": true, "AttrChange.AtimeWas": true,
	}
}

// fill gives v and all in it values, none of them the zero value but where rng says so.
func fill(rng *rand.Rand, v reflect.Value, some func() bool) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Unix(rng.Int64N(1<<33)-1<<32, rng.Int64N(1e9)).UTC()))
		return
	case objstore.Cond:
		all := []objstore.Cond{objstore.Unconditional(), objstore.IfAbsent(), objstore.IfPresent(), objstore.IfVersion("1f")}
		v.Set(reflect.ValueOf(all[rng.IntN(len(all))]))
		return
	}
	if !some() {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !untold()[v.Type().Name()+"."+v.Type().Field(i).Name] {
				fill(rng, v.Field(i), some)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(rng, v.Elem(), some)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1+rng.IntN(3), 3))
		for i := range v.Len() {
			fill(rng, v.Index(i), some)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		value := reflect.New(v.Type().Elem()).Elem()
		fill(rng, value, some)
		v.SetMapIndex(reflect.ValueOf("key").Convert(v.Type().Key()), value)
	case reflect.String:
		v.SetString(string([]byte{'s', byte(rng.IntN(256)), 0}))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(rng.Int64() - rng.Int64())
	default:
		v.SetUint(1 + rng.Uint64N(1<<(v.Type().Bits()-1)))
	}
}

// forgetUnsent has no message say what is not for the wire.
func forgetUnsent(m any) {
	switch m := m.(type) {
	case *List:
		m.Options.Describe = false
	case *Page:
		for i := range m.Page.Entries {
			m.Page.Entries[i].Described = false
		}
	}
}

// Every field of every message arrives as it was sent: one that Code forgets would not.
func TestMessagesArriveWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, m := range messages() {
		for round := range 50 {
			some := func() bool { return round == 0 || rng.IntN(4) > 0 }
			sent := reflect.New(reflect.TypeOf(m).Elem())
			fill(rng, sent.Elem(), some)
			forgetUnsent(sent.Interface())
			got := reflect.New(reflect.TypeOf(m).Elem())
			text := Encode(sent.Interface().(Message))
			if err := Decode(text, got.Interface().(Message)); err != nil {
				t.Fatalf("%T: %v", m, err)
			}
			if !reflect.DeepEqual(sent.Interface(), got.Interface()) {
				t.Fatalf("sent %+v\ngot  %+v", sent.Interface(), got.Interface())
			}
			if len(text) > 0 && Decode(text[:len(text)-1], got.Interface().(Message)) == nil {
				t.Fatalf("%T: cut off, and not noticed", m)
			}
			if Decode(append(text, 0), got.Interface().(Message)) == nil {
				t.Fatalf("%T: too long, and not noticed", m)
			}
		}
	}
}

// C11: a frame that was changed on its way is not taken for one.
func TestDamagedFramesAreNoticed(t *testing.T) {
	frame := AppendFrame(nil, []byte("some bytes"))
	for i := range frame {
		for bit := range 8 {
			damaged := bytes.Clone(frame)
			damaged[i] ^= 1 << bit
			if p, err := ReadFrame(bytes.NewReader(damaged), nil); err == nil {
				t.Errorf("bit %d of byte %d: %q", bit, i, p)
			}
		}
	}
	for n := range frame {
		if _, err := ReadFrame(bytes.NewReader(frame[:n]), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off after %d bytes: %v", n, err)
		}
	}
}

// A body ends where it was ended, and is not taken for whole anywhere before.
func TestBodiesEndWhereTheyWereEnded(t *testing.T) {
	var wireBytes bytes.Buffer
	w := NewBodyWriter(&wireBytes)
	content := bytes.Repeat([]byte("0123456789"), PartBytes/5)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.End(&Offset{Offset: 7}); err != nil {
		t.Fatal(err)
	}
	var end Offset
	got, err := io.ReadAll(NewBodyReader(bytes.NewReader(wireBytes.Bytes()), &end))
	if err != nil || !bytes.Equal(got, content) || end.Offset != 7 {
		t.Errorf("%d bytes, end %d, %v", len(got), end.Offset, err)
	}
	whole := wireBytes.Bytes()
	for _, n := range []int{0, 1, 8, 9, PartBytes, PartBytes + 8, len(whole) - 10, len(whole) - 1} {
		if _, err := io.ReadAll(NewBodyReader(bytes.NewReader(whole[:n]), &end)); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut off after %d of %d bytes: %v", n, len(whole), err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	rng := rand.New(rand.NewPCG(2, 2))
	for i, m := range messages() {
		fill(rng, reflect.ValueOf(m).Elem(), func() bool { return true })
		f.Add(i, Encode(m))
	}
	f.Fuzz(func(t *testing.T, i int, text []byte) {
		all := messages()
		m := all[uint(i)%uint(len(all))]
		if Decode(text, m) != nil {
			return
		}
		again := reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message)
		if err := Decode(Encode(m), again); err != nil || !reflect.DeepEqual(m, again) {
			t.Errorf("%+v became %+v (%v)", m, again, err)
		}
	})
}
