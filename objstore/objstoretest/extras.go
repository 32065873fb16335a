package objstoretest

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

func extraCases() []Case {
	return []Case{
		{Name: "DocumentsAreKept", needs: needDocuments, run: documentsAreKept},
		{Name: "DocumentsGoWithTheBucket", needs: needDocuments | needBuckets | needMultipart, run: documentsGoWithTheBucket},
		{Name: "DocumentsAndTagsSurviveACrash", needs: needDocuments | needTags | needReopen, run: documentsAndTagsSurviveACrash},
		{Name: "AnswersAreKept", needs: needAnswers, run: answersAreKept},
		{Name: "EventsTellObjects", needs: needFeed | needMultipart | needAppend | needTags | needRenameDir, run: eventsTellObjects},
		{Name: "EventsTellTheNamespace", needs: needFeed | needNamespace | needHardLinks, run: eventsTellTheNamespace},
		{Name: "EventsStop", needs: needFeed, run: eventsStop},
		{Name: "OptionalPartsAreAsClaimed", run: optionalPartsAreAsClaimed},
	}
}

func documentsAreKept(ctx context.Context, e *Env) {
	d := e.Store.(objstore.Documents)
	_, err := d.Document(ctx, "policy")
	e.want(err, objstore.ErrNotFound, "a document that is not there")
	e.ok(d.DeleteDocument(ctx, "policy"), "delete a document that is not there")
	text := []byte("first")
	e.ok(d.SetDocument(ctx, "policy", text), "set document")
	text[0] = 'X' // the caller's bytes are the caller's
	e.ok(d.SetDocument(ctx, "cors", nil), "set an empty document")
	wantText := func(name, want string) {
		got, err := d.Document(ctx, name)
		e.ok(err, "document "+name)
		e.wantBytes(string(got), want, "document "+name)
	}
	wantText("policy", "first")
	wantText("cors", "")
	large := string(pattern(1, objstore.DocumentBytesMax))
	e.ok(d.SetDocument(ctx, "policy", []byte(large)), "replace a document")
	wantText("policy", large)
	longest := strings.Repeat("n", objstore.DocumentNameBytesMax)
	e.ok(d.SetDocument(ctx, longest, []byte("x")), "set a document with a long name")
	e.want(d.SetDocument(ctx, "policy", []byte(large+"x")), objstore.ErrTooLarge, "set a document that is too large")
	e.want(d.SetDocument(ctx, longest+"n", nil), objstore.ErrInvalid, "set a document with a name that is too long")
	e.want(d.SetDocument(ctx, "", nil), objstore.ErrInvalid, "set a document without a name")
	wantText("policy", large)
	e.ok(d.DeleteDocument(ctx, "policy"), "delete document")
	_, err = d.Document(ctx, "policy")
	e.want(err, objstore.ErrNotFound, "a document that was deleted")
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys")
}

func documentsGoWithTheBucket(ctx context.Context, e *Env) {
	for range 2 {
		e.ok(e.Buckets.CreateBucket(ctx, "other"), "create bucket")
		other, err := e.Buckets.Bucket(ctx, "other")
		e.ok(err, "open bucket")
		main, err := e.Buckets.Bucket(ctx, "main")
		e.ok(err, "open bucket")
		_, err = other.(objstore.Documents).Document(ctx, "policy")
		e.want(err, objstore.ErrNotFound, "a document of a new bucket")
		page, err := other.(objstore.Uploads).ListUploads(ctx, objstore.UploadListOptions{})
		e.ok(err, "list uploads")
		equal(e, len(page.Entries), 0, "uploads to a new bucket")
		e.ok(other.(objstore.Documents).SetDocument(ctx, "policy", []byte("x")), "set document")
		u, err := other.(objstore.Uploads).CreateUpload(ctx, "k", objstore.UploadOptions{})
		e.ok(err, "create upload")
		_, err = other.(objstore.Uploads).PutPart(ctx, "k", u.ID, 1, strings.NewReader(string(pattern(1, 100<<10))), objstore.PartOptions{})
		e.ok(err, "put part")
		_, err = main.(objstore.Documents).Document(ctx, "policy")
		e.want(err, objstore.ErrNotFound, "a document of another bucket")
		_, err = main.(objstore.Uploads).ListParts(ctx, "k", u.ID, 0, 0)
		e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, "an upload to another bucket")
		e.ok(e.Buckets.DeleteBucket(ctx, "other"), "delete bucket")
		e.want(other.(objstore.Documents).SetDocument(ctx, "policy", nil), objstore.ErrNotFound, "set a document of a deleted bucket")
		_, err = other.(objstore.Uploads).CreateUpload(ctx, "k", objstore.UploadOptions{})
		e.want(err, objstore.ErrNotFound, "create an upload to a deleted bucket")
	}
}

func documentsAndTagsSurviveACrash(ctx context.Context, e *Env) {
	e.ok(e.Store.(objstore.Documents).SetDocument(ctx, "policy", []byte("x")), "set document")
	before := e.describedPut(ctx, "k", "body", objstore.Digests{ETag: "shown", Checksum: objstore.Checksum{Algorithm: "CRC32", Value: "x"}})
	e.crash(ctx)
	text, err := e.Store.(objstore.Documents).Document(ctx, "policy")
	e.ok(err, "document")
	equal(e, string(text), "x", "document")
	after := e.head(ctx, "k")
	equal(e, described(after), described(before), "what was said")
	equal(e, after.ETag, "shown", "etag")
	equal(e, after.Checksum, before.Checksum, "checksum")
}

func answersAreKept(ctx context.Context, e *Env) {
	answers := e.Store.(objstore.Answers)
	_, err := answers.Answer(ctx, "w1")
	e.want(err, objstore.ErrNotFound, "answer to nothing")
	put, err := e.Store.Put(ctx, "k", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{WriteID: "w1"})
	e.ok(err, "put")
	_, err = e.Store.Put(ctx, "k", strings.NewReader("y"), objstore.IfAbsent(), objstore.PutOptions{WriteID: "w2"})
	e.want(err, objstore.ErrPrecondition, "put if absent")
	_, err = e.Store.Put(ctx, "", strings.NewReader("y"), objstore.IfAbsent(), objstore.PutOptions{WriteID: "w3"})
	e.want(err, objstore.ErrInvalid, "put under no key")
	e.ok(e.Store.Delete(ctx, "k", objstore.IfVersion(put.Version), objstore.DeleteOptions{WriteID: "w4"}), "delete")
	a, err := answers.Answer(ctx, "w1")
	e.ok(err, "answer to a put")
	equal(e, fmt.Sprint(a.Info.Version, a.Info.Size, a.Err), fmt.Sprint(put.Version, 1, nil), "answer to a put")
	a, err = answers.Answer(ctx, "w2")
	e.ok(err, "answer to a put that lost")
	equal(e, objstore.KindOf(a.Err), objstore.ErrPrecondition, "answer to a put that lost")
	_, err = answers.Answer(ctx, "w3")
	e.want(err, objstore.ErrNotFound, "answer to a put that made no sense")
	a, err = answers.Answer(ctx, "w4")
	e.ok(err, "answer to a delete")
	equal(e, fmt.Sprint(a.Info.Version, a.Err), fmt.Sprint("", nil), "answer to a delete")
}

// eventLog is the events of a subject, as text.
type eventLog struct {
	mu   sync.Mutex
	text []string
	all  []objstore.Event
}

func (e *Env) listen() (log *eventLog, stop func()) {
	log = &eventLog{}
	stop = e.Store.(objstore.Feed).WatchObjects(func(ev objstore.Event) {
		log.mu.Lock()
		defer log.mu.Unlock()
		names := [...]string{"", "put", "copy", "complete", "renamed-to", "delete", "renamed-from"}
		text := names[ev.Kind] + " " + string(ev.Key)
		if ev.Other != "" {
			text += " " + string(ev.Other)
		}
		log.text, log.all = append(log.text, text), append(log.all, ev)
	})
	return log, stop
}

// want ends the case unless these were the events since the last call.
func (l *eventLog) want(e *Env, what string, want ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	equal(e, strings.Join(l.text, ", "), strings.Join(want, ", "), "events of "+what)
	l.text = nil
}

func eventsTellObjects(ctx context.Context, e *Env) {
	log, stop := e.listen()
	defer stop()
	info := e.put(ctx, "a/k", "12345")
	log.want(e, "a put", "put a/k")
	told := log.all[0]
	equal(e, fmt.Sprint(told.Version, told.ETag, told.Size), fmt.Sprint(info.Version, info.ETag, 5), "what is told of a put")
	equal(e, told.Time.IsZero(), false, "the event has no time")
	_, err := e.tryPut(ctx, "a/k", "x", objstore.IfAbsent())
	e.want(err, objstore.ErrPrecondition, "put if absent")
	log.want(e, "a put that lost")
	_, err = e.Store.Copy(ctx, objstore.CopyRequest{Src: "a/k", SrcCond: objstore.IfPresent(), Dst: "b", DstCond: objstore.IfAbsent()})
	e.ok(err, "copy")
	log.want(e, "a copy", "copy b")
	id := e.begin(ctx, "b")
	p := e.part(ctx, "b", id, 1, "x")
	log.want(e, "an open upload")
	e.complete(ctx, "b", id, p)
	e.complete(ctx, "b", id, p)
	log.want(e, "a completion and its repetition", "complete b")
	_, err = e.tryAppend(ctx, "b", 1, "y", objstore.Unconditional())
	e.ok(err, "append")
	log.want(e, "an append", "put b")
	_, err = e.Store.(objstore.Tagger).SetTags(ctx, "b", map[string]string{"a": "b"}, objstore.Visible)
	e.ok(err, "set tags")
	log.want(e, "tags")
	e.renameTo(ctx, "b", "c/d")
	log.want(e, "a rename", "renamed-from b c/d", "renamed-to c/d b")
	e.renameTo(ctx, "c/", "e/")
	log.want(e, "a rename of a directory", "renamed-from c/ e/", "renamed-to e/ c/")
	e.put(ctx, "a/", "")
	e.delete(ctx, "a/")
	log.want(e, "a directory object", "put a/", "delete a/")
	e.delete(ctx, "a/k")
	e.delete(ctx, "a/k")
	log.want(e, "a delete", "delete a/k")
	e.put(ctx, "f/", "")
	e.delete(ctx, "f/")
	log.want(e, "an empty directory object", "put f/", "delete f/")
}

func eventsTellTheNamespace(ctx context.Context, e *Env) {
	log, stop := e.listen()
	defer stop()
	dir := e.mkdir(ctx, e.root(), "dir")
	log.want(e, "mkdir", "put dir/")
	file := e.create(ctx, dir, "f", "x")
	log.want(e, "a new file", "put dir/f")
	_, err := e.ns().Link(ctx, file.ID, e.root(), "g", objstore.Visible)
	e.ok(err, "link")
	log.want(e, "a link", "put g")
	e.overwrite(ctx, file.ID, "y")
	log.want(e, "a commit to a file with two names", "put g", "put dir/f")
	mode := uint32(0o600)
	_, err = e.ns().SetAttr(ctx, file.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	e.ok(err, "set mode")
	log.want(e, "attributes")
	e.unlink(ctx, e.root(), "g")
	log.want(e, "unlink", "delete g")
	e.create(ctx, dir, "h", "x")
	_, err = e.tryMove(ctx, dir, "f", dir, "h", objstore.RenameExchange)
	e.ok(err, "exchange")
	log.want(e, "an exchange", "put dir/h", "renamed-from dir/f dir/h", "renamed-from dir/h dir/f", "renamed-to dir/h dir/f", "renamed-to dir/f dir/h")
	e.rename(ctx, dir, "h", dir, "f")
	log.want(e, "a rename over a file", "renamed-from dir/h dir/f", "renamed-to dir/f dir/h")
	e.put(ctx, "implied/k", "x")
	implied := e.lookup(ctx, e.root(), "implied").ID
	e.create(ctx, implied, "l", "x")
	log.want(e, "a change inside of an implied directory", "put implied/k", "put implied/", "put implied/l")
	made, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: dir, Name: "fifo", Type: objstore.TypeFifo, Durability: objstore.Visible})
	e.ok(err, "make a fifo")
	e.rename(ctx, dir, "fifo", dir, "pipe")
	log.want(e, "a special file")
	e.rename(ctx, dir, "pipe", dir, "f")
	log.want(e, "a special file over an object", "delete dir/f")
	equal(e, e.stat(ctx, made.ID).Type, objstore.TypeFifo, "type")
}

func eventsStop(ctx context.Context, e *Env) {
	log, stop := e.listen()
	other, stopOther := e.listen()
	defer stopOther()
	e.put(ctx, "k", "x")
	stop()
	e.put(ctx, "k", "y")
	log.want(e, "a feed that was stopped", "put k")
	other.want(e, "another feed", "put k", "put k")
}

// optionalPartsAreAsClaimed: what is claimed is there, and what is there and not claimed refuses.
func optionalPartsAreAsClaimed(ctx context.Context, e *Env) {
	caps := e.Store.Capabilities()
	e.put(ctx, "k", "x")
	uploads, isUploads := e.Store.(objstore.Uploads)
	appender, isAppender := e.Store.(objstore.Appender)
	tagger, isTagger := e.Store.(objstore.Tagger)
	documents, isDocuments := e.Store.(objstore.Documents)
	answers, isAnswers := e.Store.(objstore.Answers)
	_, isFeed := e.Store.(objstore.Feed)
	for _, c := range []struct {
		name        string
		claimed, is bool
		try         func() error
	}{
		{"multipart", caps.Multipart, isUploads, func() error {
			_, err := uploads.CreateUpload(ctx, "k", objstore.UploadOptions{})
			return err
		}},
		{"append", caps.Append, isAppender, func() error {
			_, err := appender.Append(ctx, "k", 1, strings.NewReader(""), objstore.Unconditional(), objstore.PutOptions{})
			return err
		}},
		{"tags", caps.Tags, isTagger, func() error {
			_, err := tagger.SetTags(ctx, "k", nil, objstore.Visible)
			return err
		}},
		{"documents", caps.Documents, isDocuments, func() error { return documents.DeleteDocument(ctx, "none") }},
		{"answers", caps.Answers, isAnswers, func() error {
			_, err := answers.Answer(ctx, "none")
			return err
		}},
		{"feed", caps.Feed, isFeed, nil},
	} {
		switch {
		case c.claimed && !c.is:
			e.Failf("%s: claimed, and the store has no such methods", c.name)
		case c.is && c.try != nil:
			e.claim(c.claimed, c.try(), c.name)
		}
	}
}
