package s3xml_test

import (
	"bytes"
	"encoding/xml"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

var rewrite = flag.Bool("rewrite", false, "write the golden documents anew")

func responses() map[string]s3xml.Response {
	now := time.Date(2009, 10, 12, 17, 50, 30, 123e6, time.FixedZone("", 3600))
	owner := s3xml.Owner{ID: "id", DisplayName: "name"}
	crc := s3xml.Checksum{Algorithm: checksum.CRC32, Text: "AAAAAA==", Type: "FULL_OBJECT"}
	size := int64(0)
	objects := []s3xml.Object{
		{Key: "a&b", LastModified: now, ETag: `"e"`, Size: 434234, StorageClass: "STANDARD", Owner: &owner},
		{Key: "k", LastModified: now, ETag: `"f"`, ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT", StorageClass: "STANDARD"},
	}
	prefixes := []s3xml.CommonPrefix{{Prefix: "photos/"}}
	parts := []s3xml.Part{{PartNumber: 2, LastModified: now, ETag: `"p"`, Size: 5 << 20, Checksum: crc}, {PartNumber: 3, Size: 1}}
	return map[string]s3xml.Response{
		"buckets":    &s3xml.ListAllMyBucketsResult{Owner: owner, Buckets: []s3xml.Bucket{{Name: "b", CreationDate: now}}},
		"no-buckets": &s3xml.ListAllMyBucketsResult{Owner: owner},
		"list": &s3xml.ListBucketResult{Name: "b", Prefix: "N", Marker: "Ned", NextMarker: "Z", MaxKeys: 40, Delimiter: "/",
			EncodingType: "url", IsTruncated: true, Contents: objects, CommonPrefixes: prefixes},
		"list-empty": &s3xml.ListBucketResult{Name: "b", MaxKeys: 1000},
		"list-v2": &s3xml.ListBucketResultV2{Name: "b", Prefix: "N", StartAfter: "M", ContinuationToken: "t", NextContinuationToken: "u", KeyCount: 3, MaxKeys: 3,
			Delimiter: "/", EncodingType: "url", IsTruncated: true, Contents: objects, CommonPrefixes: prefixes},
		"list-versions": &s3xml.ListVersionsResult{Name: "b", Prefix: "N", KeyMarker: "M", VersionIDMarker: "null", NextKeyMarker: "Z", NextVersionIDMarker: "null",
			MaxKeys: 3, Delimiter: "/", EncodingType: "url", IsTruncated: true, VersionID: "null", Versions: objects, CommonPrefixes: prefixes},
		"delete": &s3xml.DeleteResult{Deleted: []s3xml.Deleted{{Key: "k"}, {Key: "l", VersionID: "null"}},
			Errors: []s3xml.DeleteError{{Key: "m", Code: "PreconditionFailed", Message: "<no>"}}},
		"copy":      &s3xml.CopyObjectResult{ETag: `"e"`, LastModified: now, Checksum: crc},
		"copy-part": &s3xml.CopyPartResult{ETag: `"e"`, LastModified: now, Checksum: crc},
		"initiate":  &s3xml.InitiateMultipartUploadResult{Bucket: "b", Key: "k", UploadID: "u"},
		"complete":  &s3xml.CompleteMultipartUploadResult{Location: "http://h/b/k", Bucket: "b", Key: "k", ETag: `"e-2"`, Checksum: crc},
		"parts": &s3xml.ListPartsResult{Bucket: "b", Key: "k", UploadID: "u", Initiator: owner, Owner: owner, StorageClass: "STANDARD", ChecksumAlgorithm: "CRC32",
			ChecksumType: "COMPOSITE", PartNumberMarker: 1, NextPartNumberMarker: 3, MaxParts: 2, IsTruncated: true, Parts: parts},
		"uploads": &s3xml.ListMultipartUploadsResult{Bucket: "b", KeyMarker: "k", UploadIDMarker: "u", NextKeyMarker: "l", NextUploadIDMarker: "v", Prefix: "p",
			Delimiter: "/", EncodingType: "url", MaxUploads: 3, IsTruncated: true, CommonPrefixes: prefixes,
			Uploads: []s3xml.Upload{{Key: "l", UploadID: "v", Initiator: owner, Owner: owner, StorageClass: "STANDARD", Initiated: now, ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE"}}},
		"attributes": &s3xml.GetObjectAttributesOutput{ETag: "e", Checksum: crc, StorageClass: "STANDARD", ObjectSize: &size,
			ObjectParts: &s3xml.ObjectParts{TotalPartsCount: 9, PartNumberMarker: 1, NextPartNumberMarker: 3, MaxParts: 2, IsTruncated: true, Parts: parts[1:]}},
		"attributes-none": &s3xml.GetObjectAttributesOutput{},
		"location":        &s3xml.LocationConstraint{Region: "eu-west-1"},
		"versioning":      &s3xml.VersioningConfiguration{},
		"tagging":         &s3xml.Tagging{TagSet: []s3xml.Tag{{Key: "k", Value: "v"}, {Key: "empty"}}},
		"cors": &s3xml.CORSConfiguration{Rules: []s3xml.CORSRule{{ID: "i", AllowedHeaders: []string{"*"}, AllowedMethods: []string{"GET", "PUT"},
			AllowedOrigins: []string{"*"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: 10}}},
		"post": &s3xml.PostResponse{Location: "http://h/b/k", Bucket: "b", Key: "k", ETag: `"e"`},
	}
}

// lines makes a document easy to compare: one element a line.
func lines(document []byte) string {
	return strings.ReplaceAll(string(document), "><", ">\n<") + "\n"
}

func TestResponsesAreAsTheyWere(t *testing.T) {
	documents := map[string][]byte{
		"error": s3xml.EncodeError(s3code.PreconditionFailed.With("", s3code.Detail{Name: "Condition", Value: "If-Match"}), "/b/k", "id", "host"),
	}
	for name, r := range responses() {
		documents[name] = s3xml.Encode(r)
	}
	for name, document := range documents {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join("testdata", name+".xml")
			if *rewrite {
				if err := os.WriteFile(path, []byte(lines(document)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got := lines(document); got != string(want) {
				t.Errorf("got\n%swant\n%s", got, want)
			}
			decoder := xml.NewDecoder(strings.NewReader(string(document)))
			for {
				if _, err := decoder.Token(); err == io.EOF {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestKeysSurviveXML(t *testing.T) {
	for key, want := range map[string]string{
		"plain/key": "plain/key", "a&b<c>d\"e'f": "a&amp;b&lt;c&gt;d&quot;e&#39;f", "ü€😀": "ü€😀", "a\tb\nc\rd": "a&#x9;b&#xa;c&#xd;d",
		"\x00\x01\x1f": "&#x0;&#x1;&#x1f;", "\uffff": "&#xffff;", "bad\xffutf8\xc3": "bad\ufffdutf8\ufffd", "\ufffd": "\ufffd", "]]>": "]]&gt;", "\x7f": "&#x7f;",
	} {
		document := string(s3xml.Encode(&s3xml.LocationConstraint{Region: key}))
		_, text, _ := strings.Cut(document, `2006-03-01/">`)
		if got := strings.TrimSuffix(text, "</LocationConstraint>"); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

// Whatever the key, who is refused can read why.
func TestErrorsAreAlwaysWellFormed(t *testing.T) {
	key := "a\x00\x01b\uffffc\xff\"&<\n"
	e := s3code.NoSuchKey.With("no \"eq\" <in> \x02", s3code.Detail{Name: "Key", Value: key})
	text := s3xml.EncodeError(e, "/"+key, "1", "")
	if !bytes.Contains(text, []byte(`<Message>no "eq" &lt;in&gt; `+"\ufffd</Message>")) {
		t.Errorf("%s", text)
	}
	var got struct{ Code, Message, Key, Resource string }
	if err := xml.Unmarshal(text, &got); err != nil {
		t.Fatalf("%v\n%q", err, text)
	}
	if want := "a\ufffd\ufffdb\ufffdc\ufffd\"&<\n"; got.Key != want || got.Resource != "/"+want || got.Message != "no \"eq\" <in> \ufffd" {
		t.Errorf("%q", got)
	}
}

func TestURLEncodingIsThatOfS3(t *testing.T) {
	for key, want := range map[string]string{
		"a b.txt": "a+b.txt", "a+b.txt": "a%2Bb.txt", "100%.csv": "100%25.csv", "한글/x.txt": "%ED%95%9C%EA%B8%80/x.txt", "run books/x.txt": "run+books/x.txt",
		"test_file(3).png": "test_file%283%29.png", "~-_.*": "%7E-_.*", "\x00\xff": "%00%FF", "": "",
	} {
		if got := s3xml.URLEncode(key); got != want {
			t.Errorf("%q: %q, want %q", key, got, want)
		}
	}
}

func TestTimesAreInUTC(t *testing.T) {
	if got := s3xml.TimeISO(time.Date(2009, 10, 12, 17, 50, 30, 999e6, time.FixedZone("", 3600))); got != "2009-10-12T16:50:30.999Z" {
		t.Error(got)
	}
}

func BenchmarkList(b *testing.B) {
	list := &s3xml.ListBucketResultV2{Name: "b", MaxKeys: 1000, KeyCount: 1000}
	for range 1000 {
		list.Contents = append(list.Contents, s3xml.Object{Key: "some/directory/and a name.txt", LastModified: time.Unix(1e9, 0),
			ETag: `"0123456789abcdef0123456789abcdef-v1f"`, Size: 12345, StorageClass: "STANDARD"})
	}
	b.ReportAllocs()
	for b.Loop() {
		s3xml.Encode(list)
	}
}
