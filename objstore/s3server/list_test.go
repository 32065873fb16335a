package s3server_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// listed is what both versions of ListObjects answer.
type listed struct {
	IsTruncated           bool
	KeyCount              int
	MaxKeys               int
	NextMarker            string
	NextContinuationToken string
	Contents              []struct {
		Key, ETag, StorageClass string
		Size                    int64
		Owner                   *struct{ ID string }
	}
	CommonPrefixes []struct{ Prefix string }
}

func (l listed) names() (names []string) {
	for _, c := range l.Contents {
		names = append(names, c.Key)
	}
	for _, p := range l.CommonPrefixes {
		names = append(names, p.Prefix)
	}
	slices.Sort(names)
	return names
}

func (b *bench) list(query string) (l listed) {
	b.t.Helper()
	if err := xml.Unmarshal([]byte(b.must("GET", "/box?"+query, "").body), &l); err != nil {
		b.t.Fatal(err)
	}
	return l
}

func TestListingsTakeAllParameters(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "d", "e f+g", "z/"} {
		b.must("PUT", "/box/"+strings.ReplaceAll(url.PathEscape(key), "%2F", "/"), "x")
	}
	for _, r := range []struct {
		query, names string
		truncated    bool
	}{
		{"", "a, b/1, b/2, b/c/3, d, e f+g, z/", false},
		{"prefix=b/", "b/1, b/2, b/c/3", false},
		{"prefix=none", "", false},
		{"delimiter=/", "a, b/, d, e f+g, z/", false},
		{"delimiter=/&prefix=b/", "b/1, b/2, b/c/", false},
		{"delimiter=c", "a, b/1, b/2, b/c, d, e f+g, z/", false},
		{"max-keys=2", "a, b/1", true},
		{"max-keys=0", "", false},
		{"max-keys=7", "a, b/1, b/2, b/c/3, d, e f+g, z/", false},
		{"max-keys=2&delimiter=/", "a, b/", true},
		{"encoding-type=url", "a, b/1, b/2, b/c/3, d, e+f%2Bg, z/", false},
	} {
		for _, version := range []string{"", "list-type=2&"} {
			l := b.list(version + r.query)
			if got := strings.Join(l.names(), ", "); got != r.names || l.IsTruncated != r.truncated {
				t.Errorf("%s%s: %s, truncated %v", version, r.query, got, l.IsTruncated)
			}
			if version != "" && l.KeyCount != len(l.names()) {
				t.Errorf("%s: %d keys counted", r.query, l.KeyCount)
			}
			if (l.NextContinuationToken != "") != (version != "" && r.truncated) {
				t.Errorf("%s%s: token %q", version, r.query, l.NextContinuationToken)
			}
		}
	}
	for query, want := range map[string]string{"marker=b/2": "b/c/3, d, e f+g, z/", "list-type=2&start-after=d": "e f+g, z/"} {
		if got := strings.Join(b.list(query).names(), ", "); got != want {
			t.Errorf("%s: %s", query, got)
		}
	}
	if l := b.list("list-type=2"); l.Contents[0].Owner != nil || l.Contents[0].Size != 1 || l.Contents[0].StorageClass != "STANDARD" {
		t.Errorf("%+v", l.Contents[0])
	}
	if l := b.list("list-type=2&fetch-owner=true"); l.Contents[0].Owner == nil {
		t.Error("no owner")
	}
}

func TestListingsPage(t *testing.T) {
	b := serve(t, s3server.Options{})
	var keys []string
	for i := range 17 {
		keys = append(keys, fmt.Sprintf("d%d/k", i), fmt.Sprintf("f%02d", i))
		b.must("PUT", "/box/"+keys[2*i], "")
		b.must("PUT", "/box/"+keys[2*i+1], "")
	}
	var rolled []string
	for _, key := range keys {
		rolled = append(rolled, strings.TrimSuffix(key, "k"))
	}
	slices.Sort(keys)
	slices.Sort(rolled)
	for delimiter, want := range map[string][]string{"": keys, "&delimiter=/": rolled} {
		for max := 1; max < 40; max += 7 {
			var one, two []string
			for query := ""; ; {
				l := b.list(fmt.Sprintf("max-keys=%d%s%s", max, delimiter, query))
				one = append(one, l.names()...)
				if !l.IsTruncated {
					break
				}
				query = "&marker=" + url.QueryEscape(l.NextMarker)
			}
			for query := ""; ; {
				l := b.list(fmt.Sprintf("list-type=2&max-keys=%d%s%s", max, delimiter, query))
				two = append(two, l.names()...)
				if !l.IsTruncated {
					break
				}
				query = "&continuation-token=" + url.QueryEscape(l.NextContinuationToken)
			}
			if !slices.Equal(one, want) || !slices.Equal(two, want) {
				t.Errorf("%q, pages of %d:\n%q\n%q\n%q", delimiter, max, one, two, want)
			}
		}
	}
}

func TestListingsRefuseWhatMakesNoSense(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, query := range []string{"max-keys=-1", "max-keys=x", "max-keys=99999999999", "encoding-type=xml", "list-type=1", "list-type=2&continuation-token=x", "list-type=2&continuation-token=",
		"uploads&max-uploads=-1", "uploads&encoding-type=x"} {
		b.want(query, b.do("GET", "/box?"+query, ""), 400, "InvalidArgument")
	}
}

func TestUploadsAreListed(t *testing.T) {
	b := serve(t, s3server.Options{})
	ids := []string{b.createUpload("a"), b.createUpload("a"), b.createUpload("d/b"), b.createUpload("d/c")}
	type uploads struct {
		IsTruncated                       bool
		NextKeyMarker, NextUploadIdMarker string
		Upload                            []struct{ Key, UploadId string }
		CommonPrefixes                    []struct{ Prefix string }
	}
	list := func(query string) (u uploads) {
		if err := xml.Unmarshal([]byte(b.must("GET", "/box?uploads"+query, "").body), &u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	var found []string
	for query := ""; ; {
		u := list("&max-uploads=1" + query)
		for _, one := range u.Upload {
			found = append(found, one.UploadId)
		}
		if !u.IsTruncated {
			break
		}
		query = "&key-marker=" + u.NextKeyMarker + "&upload-id-marker=" + u.NextUploadIdMarker
	}
	if !slices.Equal(found, ids) {
		t.Errorf("%q instead of %q", found, ids)
	}
	if u := list("&delimiter=/"); len(u.Upload) != 2 || len(u.CommonPrefixes) != 1 || u.CommonPrefixes[0].Prefix != "d/" {
		t.Errorf("%+v", u)
	}
	for n := 1; n <= 3; n++ {
		b.putPart("a", ids[0], n, strings.Repeat("x", n))
	}
	var parts struct {
		IsTruncated          bool
		NextPartNumberMarker int
		Part                 []struct{ PartNumber, Size int }
	}
	if err := xml.Unmarshal([]byte(b.must("GET", "/box/a?uploadId="+ids[0]+"&max-parts=2", "").body), &parts); err != nil {
		t.Fatal(err)
	}
	if len(parts.Part) != 2 || !parts.IsTruncated || parts.NextPartNumberMarker != 2 || parts.Part[1].Size != 2 {
		t.Errorf("%+v", parts)
	}
	b.want("no upload", b.do("GET", "/box/a?uploadId=none", ""), 404, "NoSuchUpload")
	b.want("no marker", b.do("GET", "/box/a?part-number-marker=x&uploadId="+ids[0], ""), 400, "InvalidArgument")
}

func TestAttributes(t *testing.T) {
	b := serve(t, s3server.Options{})
	etag := b.must("PUT", "/box/k", body).etag()
	a := b.must("GET", "/box/k?attributes", "", "x-amz-object-attributes: ETag,ObjectSize", "x-amz-object-attributes: Checksum,StorageClass,ObjectParts")
	for _, part := range []string{"<ETag>" + etag + "</ETag>", "<ObjectSize>9</ObjectSize>", "<ChecksumCRC64NVME>rosUhgp5mIg=</ChecksumCRC64NVME>", "<StorageClass>STANDARD</StorageClass>"} {
		if !strings.Contains(a.body, part) {
			t.Errorf("no %s in %s", part, a.body)
		}
	}
	if strings.Contains(a.body, "ObjectParts") {
		t.Errorf("an object without parts has some: %s", a.body)
	}
	b.want("none asked", b.do("GET", "/box/k?attributes", ""), 400, "InvalidRequest")
	b.want("unknown", b.do("GET", "/box/k?attributes", "", "x-amz-object-attributes: Color"), 400, "InvalidArgument")
	b.want("missing", b.do("GET", "/box/none?attributes", "", "x-amz-object-attributes: ETag"), 404, "NoSuchKey")
	b.want("condition", b.do("GET", "/box/k?attributes", "", "x-amz-object-attributes: ETag", `If-Match: "x"`), 412, "PreconditionFailed")
}

func TestBrowsersAreAnsweredByTheRulesOfTheBucket(t *testing.T) {
	b := serve(t, s3server.Options{})
	b.want("none yet", b.do("GET", "/box?cors", ""), 404, "NoSuchCORSConfiguration")
	b.want("no rules", b.do("OPTIONS", "/box/k", "", "Origin: https://a.org", "Access-Control-Request-Method: PUT"), 403, "AccessForbidden")
	rules := "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.org</AllowedOrigin><AllowedMethod>PUT</AllowedMethod><AllowedHeader>*</AllowedHeader><ExposeHeader>ETag</ExposeHeader></CORSRule></CORSConfiguration>"
	b.must("PUT", "/box?cors", rules, contentMD5(rules))
	if a := b.must("GET", "/box?cors", ""); !strings.Contains(a.body, "<AllowedOrigin>https://a.org</AllowedOrigin>") {
		t.Error(a.body)
	}
	a := b.must("OPTIONS", "/box/k", "", "Origin: https://a.org", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: if-match")
	if a.header.Get("Access-Control-Allow-Origin") != "https://a.org" || a.header.Get("Access-Control-Allow-Headers") == "" {
		t.Errorf("%v", a.header)
	}
	b.want("another origin", b.do("OPTIONS", "/box/k", "", "Origin: https://b.org", "Access-Control-Request-Method: PUT"), 403, "AccessForbidden")
	b.want("no origin", b.do("OPTIONS", "/box/k", ""), 400, "BadRequest")
	if a := b.must("PUT", "/box/k", "x", "Origin: https://a.org"); a.header.Get("Access-Control-Allow-Origin") != "https://a.org" {
		t.Errorf("%v", a.header)
	}
	if a := b.do("PUT", "/box/k", "x", "Origin: https://a.org", "If-None-Match: *"); a.status != 412 || a.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a refusal is hidden: %d %v", a.status, a.header)
	}
	if a := b.must("PUT", "/box/k", "x", "Origin: https://b.org"); a.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.header)
	}
	for asked, want := range map[string]string{"PUT": "https://a.org", "DELETE": ""} {
		if a := b.must("GET", "/box/k", "", "Origin: https://a.org", "Access-Control-Request-Method: "+asked); a.header.Get("Access-Control-Allow-Origin") != want {
			t.Errorf("asked for %s: %v", asked, a.header)
		}
	}
	b.want("no XML", b.do("PUT", "/box?cors", "x", contentMD5("x")), 400, "MalformedXML")
	b.must("DELETE", "/box?cors", "")
	b.want("gone", b.do("GET", "/box?cors", ""), 404, "NoSuchCORSConfiguration")
}

// versionsListed is what ListObjectVersions answers.
type versionsListed struct {
	IsTruncated                        bool
	NextKeyMarker, NextVersionIdMarker string
	Version                            []struct {
		Key, VersionId, ETag string
		IsLatest             bool
		Size                 int64
	}
	CommonPrefixes []struct{ Prefix string }
}

// TestVersionsAreOneOfEachObject: the bucket never kept versions. All that is listed can be deleted as it was listed.
func TestVersionsAreOneOfEachObject(t *testing.T) {
	b := serve(t, s3server.Options{})
	for _, key := range []string{"a", "b/1", "b/2", "c"} {
		b.must("PUT", "/box/"+key, "x")
	}
	var found []string
	for query := ""; ; {
		var page versionsListed
		if err := xml.Unmarshal([]byte(b.must("GET", "/box?versions&delimiter=/&max-keys=1"+query, "").body), &page); err != nil {
			t.Fatal(err)
		}
		for _, v := range page.Version {
			if v.VersionId != "null" || !v.IsLatest || v.Size != 1 || v.ETag != b.must("HEAD", "/box/"+v.Key, "").header.Get("ETag") {
				t.Errorf("%+v", v)
			}
			found = append(found, v.Key)
		}
		for _, p := range page.CommonPrefixes {
			found = append(found, p.Prefix)
		}
		if !page.IsTruncated {
			break
		}
		query = "&key-marker=" + url.QueryEscape(page.NextKeyMarker) + "&version-id-marker=" + page.NextVersionIdMarker
	}
	if got := strings.Join(found, " "); got != "a b/ c" {
		t.Errorf("listed %s", got)
	}
	b.want("no key", b.do("GET", "/box?versions&version-id-marker=null", ""), 400, "InvalidArgument")
	b.want("no version", b.do("GET", "/box?versions&key-marker=a&version-id-marker=7", ""), 400, "InvalidArgument")
	b.want("no bucket", b.do("GET", "/none?versions", ""), 404, "NoSuchBucket")

	const all = `<Delete><Quiet>true</Quiet><Object><Key>a</Key><VersionId>null</VersionId></Object><Object><Key>b/1</Key><VersionId>null</VersionId></Object>` +
		`<Object><Key>b/2</Key><VersionId>null</VersionId></Object><Object><Key>c</Key><VersionId>null</VersionId></Object></Delete>`
	b.must("POST", "/box?delete", all, contentMD5(all), "x-amz-bypass-governance-retention: true")
	b.must("DELETE", "/box", "")
}
