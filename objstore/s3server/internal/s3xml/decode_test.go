package s3xml_test

import (
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

const limitBytes = 1 << 20

func decode[T s3xml.Request](text string) (any, error) {
	v, err := s3xml.Decode[T](strings.NewReader(text), limitBytes)
	if v == nil {
		return nil, err
	}
	return *v, err
}

func TestRequestsAreRead(t *testing.T) {
	for _, c := range []struct {
		name, text string
		decode     func(string) (any, error)
		want       any
	}{
		{"delete", `<?xml version="1.0" encoding="UTF-8"?><Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Quiet>true</Quiet>` +
			`<Object><Key> a &amp; b </Key></Object><Object><Key>k</Key><VersionId>null</VersionId><ETag>"e"</ETag><Size>5</Size>` +
			`<LastModifiedTime>x</LastModifiedTime></Object></Delete>`, decode[s3xml.Delete],
			s3xml.Delete{Quiet: true, Objects: []s3xml.ObjectIdentifier{{Key: " a & b "}, {Key: "k", VersionID: "null", ETag: `"e"`, Size: "5", LastModifiedTime: "x"}}}},
		{"delete nothing", "<Delete/>", decode[s3xml.Delete], s3xml.Delete{}},
		{"references", "<Delete><Object><Key>&#x41;&#13;&lt;&gt;&apos;&quot;<![CDATA[<x>]]></Key></Object><!-- no more --></Delete>\n", decode[s3xml.Delete],
			s3xml.Delete{Objects: []s3xml.ObjectIdentifier{{Key: "A\r<>'\"<x>"}}}},
		{"byte order mark", "\ufeff<Delete><Quiet> 0 </Quiet></Delete>", decode[s3xml.Delete], s3xml.Delete{}},
		{"complete", "<CompleteMultipartUpload>\n <Part>\n  <ETag>&quot;a&quot;</ETag><PartNumber> 1 </PartNumber></Part>" +
			"<Part><PartNumber>2</PartNumber><ETag>b</ETag><ChecksumCRC32C>AAAAAA==</ChecksumCRC32C></Part></CompleteMultipartUpload>", decode[s3xml.CompleteMultipartUpload],
			s3xml.CompleteMultipartUpload{Parts: []s3xml.CompletedPart{
				{PartNumber: 1, ETag: `"a"`},
				{PartNumber: 2, ETag: "b", Checksum: s3xml.Checksum{Algorithm: checksum.CRC32C, Text: "AAAAAA=="}},
			}}},
		{"create", "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint><Tags><Tag><Key>k</Key><Value></Value></Tag></Tags></CreateBucketConfiguration>",
			decode[s3xml.CreateBucketConfiguration], s3xml.CreateBucketConfiguration{LocationConstraint: "eu-west-1", Tags: []s3xml.Tag{{Key: "k"}}}},
		{"create a directory bucket", "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket></CreateBucketConfiguration>",
			decode[s3xml.CreateBucketConfiguration], s3xml.CreateBucketConfiguration{Directory: true}},
		{"tags", "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>", decode[s3xml.Tagging], s3xml.Tagging{TagSet: []s3xml.Tag{{Key: "k", Value: "v"}}}},
		{"versioning", "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>", decode[s3xml.VersioningConfiguration], s3xml.VersioningConfiguration{Status: "Enabled"}},
		{"cors", "<CORSConfiguration><CORSRule><ID>i</ID><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod><AllowedMethod>PUT</AllowedMethod>" +
			"<AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule></CORSConfiguration>", decode[s3xml.CORSConfiguration],
			s3xml.CORSConfiguration{Rules: []s3xml.CORSRule{{
				ID: "i", AllowedOrigins: []string{"*"}, AllowedMethods: []string{"GET", "PUT"},
				AllowedHeaders: []string{"x-*"}, ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: 3000,
			}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.decode(c.text)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%+v %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "x", "<Delete>", "<Delete></delete>", "<Delete/><Delete/>", "<Delete/>more", "more<Delete/>", "<Other/>", "<Delete>&none;</Delete>",
		`<!DOCTYPE Delete [<!ENTITY a "aaaa">]><Delete><Object><Key>&a;</Key></Object></Delete>`, `<!DOCTYPE Delete SYSTEM "file:///etc/passwd"><Delete/>`,
		"<Delete><Unknown/></Delete>", "<Delete><Object></Object></Delete>", "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
		"<Delete><Object><Key>a<b/></Key></Object></Delete>", "<Delete><Object><Key>a</Key><More/></Object></Delete>", "<Delete><Quiet>maybe</Quiet></Delete>",
		"<Delete><Quiet>true</Quiet><Quiet>true</Quiet></Delete>", "<Delete><Object><Key>&#x1;</Key></Object></Delete>", "<Delete><Object><Key>\xff</Key></Object></Delete>",
		"<?xml version='1.0' encoding='UTF-16'?><Delete/>", "<?xml version='1.1'?><Delete/>", "<Delete " + strings.Repeat("<", 100), strings.Repeat("<Delete>", 20) + strings.Repeat("</Delete>", 20),
	} {
		_, err := decode[s3xml.Delete](text)
		if !errors.Is(err, s3code.MalformedXML) {
			t.Errorf("%.80q: %v", text, err)
		}
	}
	for text, decode := range map[string]func(string) (any, error){
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>":                                                                             decode[s3xml.CompleteMultipartUpload],
		"<CompleteMultipartUpload><Part><ETag>a</ETag></Part></CompleteMultipartUpload>":                                                                                         decode[s3xml.CompleteMultipartUpload],
		"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>":                                                             decode[s3xml.CompleteMultipartUpload],
		"<CompleteMultipartUpload><Part><PartNumber>99999999999</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>":                                                     decode[s3xml.CompleteMultipartUpload],
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>a</ChecksumCRC32><ChecksumSHA1>b</ChecksumSHA1></Part></CompleteMultipartUpload>": decode[s3xml.CompleteMultipartUpload],
		"<Tagging/>": decode[s3xml.Tagging],
		"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>":                                           decode[s3xml.Tagging],
		"<Tagging><TagSet/><TagSet/></Tagging>":                                                                 decode[s3xml.Tagging],
		"<VersioningConfiguration/>":                                                                            decode[s3xml.VersioningConfiguration],
		"<VersioningConfiguration><Status>On</Status></VersioningConfiguration>":                                decode[s3xml.VersioningConfiguration],
		"<CORSConfiguration/>":                                                                                  decode[s3xml.CORSConfiguration],
		"<CORSConfiguration><CORSRule><MaxAgeSeconds>x</MaxAgeSeconds></CORSRule></CORSConfiguration>":          decode[s3xml.CORSConfiguration],
		"<CreateBucketConfiguration><LocationConstraint>a</LocationConstraint><B/></CreateBucketConfiguration>": decode[s3xml.CreateBucketConfiguration],
	} {
		if v, err := decode(text); !errors.Is(err, s3code.MalformedXML) {
			t.Errorf("%s: %+v %v", text, v, err)
		}
	}
}

func TestDocumentsAreBounded(t *testing.T) {
	text := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 1000) + "</Delete>"
	for limit, want := range map[int64]s3code.Code{int64(len(text)) - 1: s3code.MaxMessageLengthExceeded, int64(len(text)): 0, 0: s3code.MaxMessageLengthExceeded} {
		_, err := s3xml.Decode[s3xml.Delete](strings.NewReader(text), limit)
		if want == 0 && err != nil || want != 0 && !errors.Is(err, want) {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	_, err := decode[s3xml.Delete]("<Delete>" + strings.Repeat("<a/>", 100_001) + "</Delete>")
	if !errors.Is(err, s3code.MalformedXML) {
		t.Error(err)
	}
	parts := "<CompleteMultipartUpload>" + strings.Repeat("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>a</ChecksumCRC32></Part>", 10_000) + "</CompleteMultipartUpload>"
	if _, err := decode[s3xml.CompleteMultipartUpload](parts); err != nil {
		t.Error(err)
	}
	broken := io.MultiReader(strings.NewReader("<Delete>"), iotest.ErrReader(io.ErrNoProgress))
	if _, err := s3xml.Decode[s3xml.Delete](broken, limitBytes); !errors.Is(err, io.ErrNoProgress) {
		t.Error(err)
	}
}

// Whatever the document: no panic and no failure but the two.
func FuzzDecode(f *testing.F) {
	f.Add(`<Delete><Quiet>true</Quiet><Object><Key>k</Key><ETag>*</ETag></Object></Delete>`)
	f.Add(`<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>a</ETag></Part></CompleteMultipartUpload>`)
	f.Add(`<!DOCTYPE a [<!ENTITY a "a">]><Tagging><TagSet><Tag><Key>&a;</Key><Value/></Tag></TagSet></Tagging>`)
	f.Add(`<CORSConfiguration><CORSRule><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, decode := range []func(string) (any, error){
			decode[s3xml.Delete], decode[s3xml.CompleteMultipartUpload], decode[s3xml.CreateBucketConfiguration],
			decode[s3xml.Tagging], decode[s3xml.VersioningConfiguration], decode[s3xml.CORSConfiguration],
		} {
			if _, err := decode(text); err != nil && !errors.Is(err, s3code.MalformedXML) && !errors.Is(err, s3code.MaxMessageLengthExceeded) {
				t.Fatal(err)
			}
		}
		if v, err := s3xml.Decode[s3xml.Tagging](strings.NewReader(text), limitBytes); err == nil {
			again, err := s3xml.Decode[s3xml.Tagging](strings.NewReader(string(s3xml.Encode(v))), 4*limitBytes)
			if err != nil || !reflect.DeepEqual(v, again) {
				t.Fatalf("%+v became %+v, %v", v, again, err)
			}
		}
	})
}
