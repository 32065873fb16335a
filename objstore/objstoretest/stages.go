package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

func stageCases() []Case {
	return []Case{
		{Name: "StagesReadTheirOwnWrites", needs: needNamespace, run: stagesReadTheirOwnWrites},
		{Name: "StagesArePrivate", needs: needNamespace, run: stagesArePrivate},
		{Name: "StagesPinTheirBase", needs: needNamespace, run: stagesPinTheirBase},
		{Name: "StagesMayStartEmpty", needs: needNamespace, run: stagesMayStartEmpty},
		{Name: "StagesMayStartAsAnotherObject", needs: needNamespace, run: stagesMayStartAsAnotherObject},
		{Name: "StagesAreSparse", needs: needNamespace, run: stagesAreSparse},
		{Name: "StagesPunchAndZero", needs: needNamespace, run: stagesPunchAndZero},
		{Name: "StagesFindDataAndHoles", needs: needNamespace, run: stagesFindDataAndHoles},
		{Name: "StagesRefuseNonsense", needs: needNamespace, run: stagesRefuseNonsense},
		{Name: "StagesMatchBytes", needs: needNamespace, run: stagesMatchBytes},
		{Name: "StagesAreConcurrent", needs: needNamespace, run: stagesAreConcurrent},
		{Name: "ManySmallEditsOfALargeFile", needs: needNamespace, run: manySmallEditsOfALargeFile},
	}
}

// readStage is all bytes of a stage.
func (e *Env) readStage(ctx context.Context, s objstore.Stage) string {
	p := make([]byte, s.Size())
	n, err := s.ReadAt(ctx, p, 0)
	if n != len(p) || err != nil && err != io.EOF {
		e.Failf("read %d of %d bytes of a stage: %w", n, len(p), orSuccess(err))
	}
	return string(p)
}

func stagesReadTheirOwnWrites(ctx context.Context, e *Env) {
	s := e.newStage(ctx, nil)
	defer s.Close()
	equal(e, s.Size(), 0, "size at first")
	if n, err := s.ReadAt(ctx, make([]byte, 1), 0); n != 0 || err != io.EOF {
		e.Failf("read of an empty stage: %d, %v", n, err)
	}
	e.write(ctx, s, "hello", 0)
	e.write(ctx, s, "J", 0)
	e.write(ctx, s, "y!", 4)
	equal(e, e.readStage(ctx, s), "Jelly!", "bytes")
	equal(e, s.Size(), 6, "size")
	p := make([]byte, 10)
	if n, err := s.ReadAt(ctx, p, 4); n != 2 || err != io.EOF || string(p[:2]) != "y!" {
		e.Failf("read across the end: %d, %v", n, err)
	}
	e.ok(s.Truncate(ctx, 3), "truncate")
	e.ok(s.Truncate(ctx, 5), "truncate")
	equal(e, e.readStage(ctx, s), "Jel\x00\x00", "bytes after cut and grow")
}

func stagesArePrivate(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old")
	a, _ := e.edit(ctx, file.ID)
	b, _ := e.edit(ctx, file.ID)
	defer b.Close()
	e.write(ctx, a, "AAAA", 0)
	equal(e, e.readStage(ctx, b), "old", "another stage")
	e.wantContent(ctx, "f", "old")
	e.ok(a.Close(), "close without a commit")
	e.wantContent(ctx, "f", "old")
	equal(e, e.stat(ctx, file.ID).MetaVersion, file.MetaVersion, "metadata version")
}

func stagesPinTheirBase(ctx context.Context, e *Env) {
	for i, size := range e.pinSizes() {
		body := string(pattern(uint64(i), size))
		name := fmt.Sprintf("f%d", i)
		file := e.create(ctx, e.root(), name, body)
		s, base := e.edit(ctx, file.ID) // closes its reader at once
		for j := range 3 {
			e.overwrite(ctx, file.ID, fmt.Sprintf("other %d", j))
		}
		e.unlink(ctx, e.root(), name)
		e.wantBytes(e.readStage(ctx, s), body, "base in the stage")
		e.write(ctx, s, "mine", size-4)
		_, err := e.tryCommit(ctx, s, file.ID, objstore.IfVersion(base))
		e.want(err, objstore.ErrNotFound, "commit without a name")
		res, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), name), Cond: objstore.IfAbsent()})
		e.ok(err, "commit as a new file")
		e.wantBytes(e.readID(ctx, res.Info.ID), body[:size-4]+"mine", "content")
		e.ok(s.Close(), "close stage")
	}
}

func stagesMayStartEmpty(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old content")
	r := e.openID(ctx, file.ID)
	defer r.Close()
	s, err := e.ns().NewStage(ctx, objstore.StageSpec{Base: r, Empty: true})
	e.ok(err, "new stage")
	defer s.Close()
	equal(e, s.Size(), 0, "size")
	e.write(ctx, s, "new", 0)
	res := e.commit(ctx, s, file.ID, objstore.IfVersion(file.Version))
	equal(e, res.Appended, false, "appended")
	e.wantContent(ctx, "f", "new")
	e.ok(r.Close(), "close")
	_, err = e.ns().NewStage(ctx, objstore.StageSpec{Base: r})
	e.want(err, objstore.ErrClosed, "new stage on a closed reader")
}

// What a stage starts with in place of its base belongs to it alone once it is committed, whatever becomes of where it came from.
func stagesMayStartAsAnotherObject(ctx context.Context, e *Env) {
	for i, size := range e.pinSizes() {
		body := string(pattern(uint64(i), size))
		source := e.create(ctx, e.root(), fmt.Sprintf("source%d", i), body)
		file := e.create(ctx, e.root(), fmt.Sprintf("f%d", i), "old content")
		base, r := e.openID(ctx, file.ID), e.openID(ctx, source.ID)
		s, err := e.ns().NewStage(ctx, objstore.StageSpec{Base: base, Empty: true, Source: r})
		e.ok(errors.Join(base.Close(), r.Close()), "close")
		if errors.Is(err, objstore.ErrUnsupported) {
			return
		}
		e.ok(err, "new stage")
		equal(e, s.Changed(), true, "changed")
		e.unlink(ctx, e.root(), fmt.Sprintf("source%d", i))
		e.wantBytes(e.readStage(ctx, s), body, "stage")
		res := e.commit(ctx, s, file.ID, objstore.IfVersion(file.Version))
		equal(e, res.Appended, false, "appended")
		e.wantBytes(e.readID(ctx, file.ID), body, "content")
		want, _, _ := source.ETag.Split()
		hash, _, _ := res.Info.ETag.Split()
		equal(e, hash, want, "hash")
		e.write(ctx, s, "more", size)
		res = e.commit(ctx, s, file.ID, objstore.IfVersion(res.Info.Version))
		equal(e, res.Appended, true, "appended to what was committed")
		e.write(ctx, s, "changed", 0)
		e.commit(ctx, s, file.ID, objstore.IfVersion(res.Info.Version))
		e.wantBytes(e.readID(ctx, file.ID), ("changed" + body[7:] + "more"), "content after a change")
		e.ok(s.Close(), "close stage")
	}
}

func stagesAreSparse(ctx context.Context, e *Env) {
	const far = 64 << 20
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, "begin", 0)
	e.write(ctx, s, "end", far)
	want := make([]byte, far+3)
	copy(want, "begin")
	copy(want[far:], "end")
	e.wantBytes(e.readStage(ctx, s), string(want), "stage")
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "f"), Cond: objstore.IfAbsent()})
	e.ok(err, "commit")
	equal(e, res.Info.Size, far+3, "size")
	if res.Info.Allocated > far/2 {
		e.Failf("a hole takes space: %d of %d bytes", res.Info.Allocated, res.Info.Size)
	}
	e.wantContent(ctx, "f", string(want))
	e.wantHash(res.Info, want)
}

// wantHash compares the etag with the content hash, if it has one.
func (e *Env) wantHash(info objstore.Info, body []byte) {
	if hash, _, ok := info.ETag.Split(); ok {
		var h blockhash.Hasher
		h.Write(body)
		equal(e, hash, [16]byte(h.Sum()), "hash in the etag")
	}
}

func stagesPunchAndZero(ctx context.Context, e *Env) {
	body := pattern(1, 300_000)
	for what, row := range map[string]struct {
		mode        objstore.AllocateMode
		off, length int64
	}{
		"punch inside":       {objstore.PunchHole, 1000, 200_000},
		"punch whole":        {objstore.PunchHole, 0, 300_000},
		"punch across end":   {objstore.PunchHole, 299_999, 100_000},
		"punch beyond":       {objstore.PunchHole, 400_000, 100_000},
		"zero inside":        {objstore.ZeroRange, 65_536, 65_536},
		"zero across end":    {objstore.ZeroRange, 250_000, 100_000},
		"zero beyond":        {objstore.ZeroRange, 400_000, 10},
		"grow inside":        {objstore.AllocateGrow, 0, 1000},
		"grow across end":    {objstore.AllocateGrow, 299_999, 50_000},
		"keep size":          {objstore.AllocateKeepSize, 0, 1 << 20},
		"keep size, far out": {objstore.AllocateKeepSize, 1 << 20, 4096},
	} {
		want := bytes.Clone(body)
		end := row.off + row.length
		if grows := row.mode == objstore.ZeroRange || row.mode == objstore.AllocateGrow; grows && end > int64(len(want)) {
			want = append(want, make([]byte, end-int64(len(want)))...)
		}
		if zeroes := row.mode == objstore.ZeroRange || row.mode == objstore.PunchHole; zeroes && row.off < int64(len(want)) {
			clear(want[row.off:min(end, int64(len(want)))])
		}
		file := e.create(ctx, e.root(), what, string(body))
		s, base := e.edit(ctx, file.ID)
		e.ok(s.Allocate(ctx, row.off, row.length, row.mode), what)
		equal(e, s.Changed(), true, what+": changed")
		e.wantBytes(e.readStage(ctx, s), string(want), what+": stage")
		info := e.commit(ctx, s, file.ID, objstore.IfVersion(base)).Info
		e.wantBytes(e.readID(ctx, file.ID), string(want), what+": content")
		e.wantHash(info, want)
		e.ok(s.Close(), "close stage")
	}
}

func stagesFindDataAndHoles(ctx context.Context, e *Env) {
	const size = 2 << 20
	s := e.newStage(ctx, nil)
	defer s.Close()
	want := make([]byte, size)
	for _, at := range []int64{0, 700_000, 1_500_000} {
		copy(want[at:], pattern(uint64(at), 5000))
		e.write(ctx, s, string(want[at:at+5000]), at)
	}
	e.ok(s.Truncate(ctx, size), "truncate")
	check := func(what string) {
		// Data and holes alternate; whatever is called a hole is zeros.
		for off := int64(0); off < size; {
			data, err := s.NextData(ctx, off)
			if objstore.KindOf(err) == objstore.ErrRange {
				data = size
			} else {
				e.ok(err, "next data")
			}
			if data < off || data > size || strings.Trim(string(want[off:data]), "\x00") != "" {
				e.Failf("%s: data after %d at %d: what is between is no hole", what, off, data)
			}
			if data == size {
				break
			}
			hole, err := s.NextHole(ctx, data)
			e.ok(err, "next hole")
			if hole <= data || hole > size {
				e.Failf("%s: the hole after the data at %d is at %d of %d", what, data, hole, size)
			}
			off = hole
		}
		_, err := s.NextData(ctx, size)
		e.want(err, objstore.ErrRange, what+": data after the end")
		_, err = s.NextHole(ctx, size+1)
		e.want(err, objstore.ErrRange, what+": hole after the end")
	}
	check("written")
	_, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "f"), Cond: objstore.IfAbsent()})
	e.ok(err, "commit")
	check("committed")
	e.ok(s.Allocate(ctx, 650_000, 500_000, objstore.PunchHole), "punch")
	clear(want[650_000:1_150_000])
	check("punched")
	e.wantBytes(e.readStage(ctx, s), string(want), "bytes")
}

func stagesRefuseNonsense(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "x")
	s, _ := e.edit(ctx, file.ID)
	p := make([]byte, 1)
	_, err := s.ReadAt(ctx, p, -1)
	e.want(err, objstore.ErrInvalid, "read at -1")
	_, err = s.WriteAt(ctx, p, -1)
	e.want(err, objstore.ErrInvalid, "write at -1")
	e.want(s.Truncate(ctx, -1), objstore.ErrInvalid, "truncate to -1")
	e.want(s.Allocate(ctx, -1, 1, objstore.AllocateGrow), objstore.ErrInvalid, "allocate at -1")
	e.want(s.Allocate(ctx, 0, 0, objstore.AllocateGrow), objstore.ErrInvalid, "allocate nothing")
	e.want(s.Allocate(ctx, objstore.ObjectBytesMax, 1, objstore.ZeroRange), objstore.ErrTooLarge, "allocate beyond the largest object")
	_, err = e.tryCommit(ctx, s, file.ID, objstore.Cond{})
	e.want(err, objstore.ErrInvalid, "commit without a condition")
	equal(e, s.Changed(), false, "changed")
	equal(e, e.readStage(ctx, s), "x", "bytes")
	e.ok(s.Close(), "close")
	e.ok(s.Close(), "close again")
	_, err = s.WriteAt(ctx, p, 0)
	e.want(err, objstore.ErrClosed, "write after close")
	_, err = s.ReadAt(ctx, p, 0)
	e.want(err, objstore.ErrClosed, "read after close")
	_, err = e.tryCommit(ctx, s, file.ID, objstore.IfPresent())
	e.want(err, objstore.ErrClosed, "commit after close")
	e.wantContent(ctx, "f", "x")
}

// stagesMatchBytes makes random edits of large files and compares with a byte slice.
func stagesMatchBytes(ctx context.Context, e *Env) {
	for run := range e.times(6, 60, 2) {
		rng := e.random(uint64(run))
		body := pattern(uint64(run), rng.Int64N(10<<20))
		if run%3 == 0 {
			body = body[:min(len(body), 100_000)]
		}
		file := e.create(ctx, e.root(), fmt.Sprintf("f%d", run), string(body))
		s, version := e.edit(ctx, file.ID)
		for range 40 {
			body = e.editRandomly(ctx, s, rng, body)
			if rng.IntN(8) != 0 {
				continue
			}
			info := e.commit(ctx, s, file.ID, objstore.IfVersion(version)).Info
			version = info.Version
			e.wantBytes(e.readID(ctx, file.ID), string(body), "content, "+e.rerun())
			e.wantHash(info, body)
			if rng.IntN(2) == 0 { // go on with a stage that has never seen the bytes
				e.ok(s.Close(), "close stage")
				s, version = e.edit(ctx, file.ID)
			}
		}
		e.wantBytes(e.readStage(ctx, s), string(body), "stage, "+e.rerun())
		e.ok(s.Close(), "close stage")
	}
}

// somewhere is an offset in or a little after size bytes, often at a boundary.
func somewhere(rng *rand.Rand, size int) int64 {
	off := rng.Int64N(int64(size) + 10_000)
	if rng.IntN(3) == 0 {
		off = max(0, off&^(1<<16-1)+rng.Int64N(3)-1)
	}
	return off
}

func (e *Env) editRandomly(ctx context.Context, s objstore.Stage, rng *rand.Rand, body []byte) []byte {
	off := somewhere(rng, len(body))
	length := 1 + rng.Int64N(200_000)
	if rng.IntN(2) == 0 {
		length = 1 + rng.Int64N(5000)
	}
	end := off + length
	grow := func(size int64) {
		if size > int64(len(body)) {
			body = append(body, make([]byte, size-int64(len(body)))...)
		}
	}
	switch rng.IntN(10) {
	case 0:
		e.ok(s.Truncate(ctx, off), "truncate")
		grow(off)
		body = body[:off]
	case 1:
		e.ok(s.Allocate(ctx, off, length, objstore.PunchHole), "punch")
		if off < int64(len(body)) {
			clear(body[off:min(end, int64(len(body)))])
		}
	case 2:
		e.ok(s.Allocate(ctx, off, length, objstore.ZeroRange), "zero")
		grow(end)
		clear(body[off:end])
	default:
		data := pattern(rng.Uint64(), length)
		e.write(ctx, s, string(data), off)
		grow(end)
		copy(body[off:], data)
	}
	equal(e, s.Size(), int64(len(body)), "size, "+e.rerun())
	return body
}

// stagesAreConcurrent: a read sees every write that returned before it; writers
// of different ranges do not disturb each other, nor does a commit among them.
func stagesAreConcurrent(ctx context.Context, e *Env) {
	const writers, span = 6, 100_003
	file := e.create(ctx, e.root(), "f", "")
	s, _ := e.edit(ctx, file.ID)
	defer s.Close()
	e.parallel(writers+1, func(i int) {
		if i == writers {
			for range 10 {
				e.commit(ctx, s, file.ID, objstore.IfPresent())
			}
			return
		}
		body := string(pattern(uint64(i), span))
		for off := 0; off < span; off += 7001 {
			part := body[off:min(off+7001, span)]
			at := int64(i*span + off)
			e.write(ctx, s, part, at)
			p := make([]byte, len(part))
			n, err := s.ReadAt(ctx, p, at)
			if n != len(p) || err != nil && err != io.EOF {
				e.Failf("read %d of %d bytes: %w", n, len(p), orSuccess(err))
			}
			e.wantBytes(string(p), part, "read after write")
		}
	})
	e.commit(ctx, s, file.ID, objstore.IfPresent())
	body := e.readID(ctx, file.ID)
	for i := range writers {
		e.wantBytes(body[i*span:(i+1)*span], string(pattern(uint64(i), span)), "content")
	}
}

func manySmallEditsOfALargeFile(ctx context.Context, e *Env) {
	body := pattern(1, 12<<20)
	file := e.create(ctx, e.root(), "f", string(body))
	rng := e.random(0)
	version := file.Version
	for i := range e.times(50, 100, 15) {
		s, _ := e.edit(ctx, file.ID)
		off := rng.Int64N(int64(len(body)) - 4096)
		data := pattern(uint64(i), 4096)
		e.write(ctx, s, string(data), off)
		copy(body[off:], data)
		version = e.commit(ctx, s, file.ID, objstore.IfVersion(version)).Info.Version
		e.ok(s.Close(), "close stage")
	}
	e.wantBytes(e.readID(ctx, file.ID), string(body), "content, "+e.rerun())
	e.wantHash(e.stat(ctx, file.ID), body)
}
