package s3server_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
)

// digest is the raw digest of text.
func digest(a checksum.Algorithm, text string) string {
	h := a.New()
	h.Write([]byte(text)) // never fails
	return string(h.Sum(nil))
}

func base64Of(digest string) string { return base64.StdEncoding.EncodeToString([]byte(digest)) }

// eachAlgorithm runs a test for all of S3's.
func eachAlgorithm(t *testing.T, f func(t *testing.T, a checksum.Algorithm)) {
	all := checksum.Algorithms()
	if len(all) != 10 {
		t.Errorf("%d algorithms: %v", len(all), all)
	}
	for _, a := range all {
		t.Run(a.String(), func(t *testing.T) { f(t, a) })
	}
}

// wantRefused checks a refusal, its message, and that it left no trace.
func (b *bench) wantRefused(what string, ask func() answer, code, message string) {
	b.t.Helper()
	before := b.image()
	a := ask()
	if b.want(what, a, 400, code); !strings.Contains(a.failure().Message, message) {
		b.t.Errorf("%s: %q", what, a.failure().Message)
	}
	if b.image() != before {
		b.t.Errorf("%s: left a trace", what)
	}
}

func TestChecksumsOfAllAlgorithmsInTheHead(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a checksum.Algorithm) {
		b := serve(t, s3server.Options{})
		good, wrong := base64Of(digest(a, body)), base64Of(digest(a, "another"))
		put := func(value string) func() answer {
			return func() answer { return b.do("PUT", "/box/k", body, a.Header()+": "+value) }
		}
		b.wantRefused("mismatch", put(wrong), "BadDigest", "The "+a.String()+" you specified did not match the calculated checksum.")
		for what, value := range map[string]string{"not base64": "!" + good[1:], "a byte less": base64Of(digest(a, body)[1:]), "a byte more": base64Of(digest(a, body) + "x"), "of parts": good + "-2", "empty": ""} {
			b.wantRefused(what, put(value), "InvalidRequest", "Value for "+a.Header()+" header is invalid.")
		}
		other := checksum.CRC32
		if a == other {
			other = checksum.CRC32C
		}
		two := func() answer {
			return b.do("PUT", "/box/k", body, a.Header()+": "+good, other.Header()+": "+base64Of(digest(other, body)))
		}
		b.wantRefused("two", two, "InvalidRequest", "Expecting a single x-amz-checksum- header")
		announced := func() answer {
			return b.do("PUT", "/box/k", body, "x-amz-sdk-checksum-algorithm: "+a.String())
		}
		b.wantRefused("announced only", announced, "InvalidRequest", "")
		b.want("right", put(good)(), 200, "")
		b.wantChecksum("k", "", a, good, "FULL_OBJECT")
		b.must("PUT", "/box/copy", "", "x-amz-copy-source: box/k")
		b.wantChecksum("copy", "", a, good, "FULL_OBJECT")
		b.must("PUT", "/box/plain", body)
		b.must("PUT", "/box/copy", "", "x-amz-copy-source: box/plain", "x-amz-checksum-algorithm: "+a.String())
		b.wantChecksum("copy", "", a, good, "FULL_OBJECT")
		b.want("a form", b.post(body, "key=form", a.Header()+"="+good), 204, "")
		b.wantChecksum("form", "", a, good, "FULL_OBJECT")
	})
}

// wantChecksum reads a checksum back: it is shown to who asks, with the whole object or the part, and to nobody else.
func (b *bench) wantChecksum(key, query string, a checksum.Algorithm, value, kind string) {
	b.t.Helper()
	for _, method := range []string{"GET", "HEAD"} {
		asked := b.must(method, "/box/"+key+query, "", "x-amz-checksum-mode: ENABLED").header
		if asked.Get(a.Header()) != value || asked.Get("x-amz-checksum-type") != kind {
			b.t.Errorf("%s %s%s: %q %q instead of %q %q", method, key, query, asked.Get(a.Header()), asked.Get("x-amz-checksum-type"), value, kind)
		}
		for what, a := range map[string]answer{"not asked": b.must(method, "/box/"+key+query, ""), "range": b.do(method, "/box/"+key, "", "Range: bytes=0-1", "x-amz-checksum-mode: ENABLED")} {
			for name := range a.header {
				if strings.HasPrefix(strings.ToLower(name), "x-amz-checksum-") {
					b.t.Errorf("%s %s%s, %s: %s", method, key, query, what, name)
				}
			}
		}
	}
}

func TestChecksumsOfAllAlgorithmsInTheTrailer(t *testing.T) {
	eachAlgorithm(t, func(t *testing.T, a checksum.Algorithm) {
		s := newStage(t)
		good, wrong := base64Of(digest(a, body)), base64Of(digest(a, "another"))
		for _, mode := range []string{chunksTrailed, chunksUnsigned} {
			put := func(trailer string) func() answer {
				return func() answer {
					r, err := s.send(message{method: "PUT", path: "/box/new", body: body, mode: mode, trailer: trailer})
					if err != nil {
						t.Error(err)
					}
					return r
				}
			}
			s.wantRefused("mismatch", put(a.Header()+":"+wrong), "BadDigest", "The "+a.String()+" you specified did not match the calculated checksum.")
			s.wantRefused("not base64", put(a.Header()+":!!"), "InvalidRequest", "Value for "+a.Header()+" trailing header is invalid.")
			s.want("right", put(a.Header()+":"+good)(), 200, "")
			got, err := s.send(message{method: "GET", path: "/box/new", headers: []field{{"x-amz-checksum-mode", "ENABLED"}}})
			if err != nil || got.header.Get(a.Header()) != good || got.body != body {
				t.Errorf("%s: %v, %v", mode, err, got.header)
			}
		}
	})
}

// The checksum of an object in parts, by each algorithm and each of its types.
func TestChecksumsOfAllAlgorithmsInParts(t *testing.T) {
	texts := [2]string{"part one", "two"}
	eachAlgorithm(t, func(t *testing.T, a checksum.Algorithm) {
		for _, kind := range []checksum.Type{checksum.FullObject, checksum.Composite} {
			if !a.Allows(kind) {
				continue
			}
			b := serve(t, s3server.Options{})
			id := b.createUpload("k", "x-amz-checksum-algorithm: "+a.String(), "x-amz-checksum-type: "+kind.String())
			element := func(sum string) string {
				return "<Checksum" + a.String() + ">" + sum + "</Checksum" + a.String() + "></Part>"
			}
			with := func(part, sum string) string { return strings.Replace(part, "</Part>", element(sum), 1) }
			sums := [2]string{base64Of(digest(a, texts[0])), base64Of(digest(a, texts[1]))}
			parts := []string{b.putPart("k", id, 1, texts[0], a.Header()+": "+sums[0]), b.putPart("k", id, 2, texts[1])} // the second gets its own
			good := []string{with(parts[0], sums[0]), with(parts[1], sums[1])}
			other := checksum.SHA256
			if a == other {
				other = checksum.SHA1
			}
			path := "/box/k?partNumber=2&uploadId=" + id
			by := func(with checksum.Algorithm, text string) func() answer {
				return func() answer {
					return b.do("PUT", path, texts[1], with.Header()+": "+base64Of(digest(with, text)))
				}
			}
			b.wantRefused("a part by another algorithm", by(other, texts[1]), "InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: "+strings.ToLower(a.String()))
			b.wantRefused("a part that is not its checksum's", by(a, "x"), "BadDigest", a.String())
			complete := func(parts []string, headers ...string) func() answer {
				return func() answer { return b.completeUpload("k", id, parts, headers...) }
			}
			said := "x-amz-checksum-type: " + kind.String()
			b.wantRefused("another part's checksum", complete([]string{with(parts[0], sums[1]), good[1]}, said), "InvalidPart", "")
			if kind == checksum.Composite {
				b.wantRefused("without the parts' checksums", complete([]string{good[0], parts[1]}, said), "InvalidRequest", "It was missing for part 2")
			}
			another := map[checksum.Type]checksum.Type{checksum.FullObject: checksum.Composite, checksum.Composite: checksum.FullObject}[kind]
			b.wantRefused("another type", complete(good, "x-amz-checksum-type: "+another.String()), "InvalidRequest", "")
			b.wantRefused("another checksum of the whole", complete(good, said, a.Header()+": "+base64Of(digest(a, "x"))), "BadDigest", a.String())
			whole := base64Of(digest(a, texts[0]+texts[1]))
			if kind == checksum.Composite {
				whole = base64Of(digest(a, digest(a, texts[0])+digest(a, texts[1]))) + "-2"
			}
			done := complete(good, said, a.Header()+": "+whole)()
			if b.want("complete", done, 200, ""); !strings.Contains(done.body, ">"+whole+"</Checksum"+a.String()+"><ChecksumType>"+kind.String()+"</ChecksumType>") {
				t.Errorf("%s", done.body)
			}
			b.wantChecksum("k", "", a, whole, kind.String())
			for i, sum := range sums {
				b.wantChecksum("k", fmt.Sprint("?partNumber=", i+1), a, sum, kind.String())
			}
			attributes := b.must("GET", "/box/k?attributes", "", "x-amz-object-attributes: Checksum,ObjectParts").body
			for _, sum := range append(sums[:], strings.TrimSuffix(whole, "-2")) {
				if !strings.Contains(attributes, ">"+sum+"</Checksum"+a.String()+">") {
					t.Errorf("no %s in %s", sum, attributes)
				}
			}
		}
	})
}
