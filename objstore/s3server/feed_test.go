package s3server_test

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// event is what a client of the stream reads of a line.
type event struct {
	EventName string
	Key       string
	Records   []struct {
		S3 struct {
			Object struct {
				Key, ETag, Sequencer string
				Size                 int64
			}
		}
	}
}

func TestEventsComeInTheOrderOfCommits(t *testing.T) {
	b := serve(t, s3server.Options{})
	resp, err := b.http.Client().Do(b.request("GET", "/box?events=s3:ObjectCreated:*&events=s3:ObjectRemoved:*&prefix=d/&suffix=.txt", nil))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status)
	}
	etag := b.must("PUT", "/box/d/a.txt", "one").etag()
	b.must("PUT", "/box/d/a.jpg", "not asked for")
	b.must("PUT", "/box/other.txt", "not asked for")
	b.must("PUT", "/box/d/b.txt", "", "x-amz-copy-source: /box/d/a.txt")
	id := b.createUpload("d/c.txt")
	b.want("complete", b.completeUpload("d/c.txt", id, []string{b.putPart("d/c.txt", id, 1, "part")}), 200, "")
	b.must("PUT", "/box/d/e.txt?renameObject", "", "x-amz-rename-source: d/c.txt")
	b.must("DELETE", "/box/d/a.txt", "")
	b.do("PUT", "/box/d/b.txt", "refused", "If-None-Match: *")
	b.must("PUT", "/box/d/last.txt", "")
	lines := bufio.NewReader(resp.Body)
	last := ""
	for i, want := range []string{
		"s3:ObjectCreated:Put box/d/a.txt", "s3:ObjectCreated:Copy box/d/b.txt", "s3:ObjectCreated:CompleteMultipartUpload box/d/c.txt",
		"s3:ObjectRemoved:Rename box/d/c.txt", "s3:ObjectCreated:Rename box/d/e.txt", "s3:ObjectRemoved:Delete box/d/a.txt", "s3:ObjectCreated:Put box/d/last.txt",
	} {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if got := e.EventName + " " + e.Key; got != want || len(e.Records) != 1 {
			t.Errorf("event %d: %s instead of %s", i, got, want)
		}
		o := e.Records[0].S3.Object
		if i == 0 && (o.ETag != etag || o.Size != 3 || o.Key != "d%2Fa.txt" && o.Key != "d/a.txt") {
			t.Errorf("%+v", o)
		}
		if !strings.HasPrefix(e.EventName, "s3:ObjectRemoved") && !strings.HasSuffix(e.EventName, "Rename") {
			if o.Sequencer <= last {
				t.Errorf("event %d: sequencer %s after %s", i, o.Sequencer, last)
			}
			last = o.Sequencer
		}
	}
	b.handler.Drain() // ends the stream, so that a server can end
	if rest, err := lines.ReadString('\n'); err == nil || strings.TrimSpace(rest) != "" {
		t.Errorf("%q, %v", rest, err)
	}
}

func TestEventsThatAreNone(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.want("no event", b.do("GET", "/box?events=created", ""), 400, "InvalidArgument")
	b.want("one that never comes", b.do("GET", "/box?events=s3:ObjectCreated:*&events=s3:ObjectMade:*", ""), 400, "InvalidArgument")
	b.want("no pattern", b.do("GET", "/box?events=s3:[", ""), 400, "InvalidArgument")
	b.want("no bucket", b.do("GET", "/none?events=s3:ObjectCreated:*", ""), 404, "NoSuchBucket")
	reader := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &s3server.User{Write: []string{"box"}}}})
	reader.want("no right", reader.do("GET", "/box?events=s3:ObjectCreated:*", ""), 403, "AccessDenied")
}
