package s3server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// signedForm are the fields of a form signed for a bucket, or for none, by SigV4 as for POST policies.
func signedForm(secret, bucket string, more ...string) []string {
	return signedFormOf(secret, "AKIAWRITER", bucket, more...)
}

func signedFormOf(secret, accessKey, bucket string, more ...string) []string {
	credential := accessKey + "/20260203/us-east-1/s3/aws4_request"
	if bucket != "" {
		bucket = `{"bucket":"` + bucket + `"},`
	}
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2026-02-03T05:00:00Z","conditions":[
		` + bucket + `["starts-with","$key",""],` + strings.Join(more, "") + `
		{"x-amz-algorithm":"AWS4-HMAC-SHA256"},{"x-amz-credential":"` + credential + `"},{"x-amz-date":"20260203T040506Z"}]}`))
	key := []byte("AWS4" + secret)
	for _, part := range []string{"20260203", "us-east-1", "s3", "aws4_request", policy} {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(part)) // never fails
		key = mac.Sum(nil)
	}
	return []string{
		"key=k", "policy=" + policy, "x-amz-algorithm=AWS4-HMAC-SHA256", "x-amz-credential=" + credential,
		"x-amz-date=20260203T040506Z", "x-amz-signature=" + hex.EncodeToString(key),
	}
}

// A form is signed for the bucket it is sent to, whatever a field of it says.
func TestSignedFormsUploadToTheirBucketOnly(t *testing.T) {
	writer := s3server.User{Name: "writer", AccessKey: "AKIAWRITER", SecretKey: "a secret of the writer", Write: []string{"*"}, Read: []string{"*"}}
	b := serve(t, s3server.Options{Users: s3server.Users{Users: []s3server.User{writer}}})
	b.want("its bucket", b.post("x", signedForm(writer.SecretKey, "box")...), 204, "")
	b.want("another bucket", b.post("x", signedForm(writer.SecretKey, "chest")...), 403, "AccessDenied")
	b.want("another bucket named in a field", b.post("x", append(signedForm(writer.SecretKey, "chest"), "bucket=chest")...), 403, "AccessDenied")
	b.want("any bucket", b.post("x", signedForm(writer.SecretKey, "")...), 403, "AccessDenied")
	for file, want := range map[string]string{
		"x":       "<Code>EntityTooSmall</Code><Message>Your proposed upload is smaller than the minimum allowed size</Message><ProposedSize>1</ProposedSize><MinSizeAllowed>2</MinSizeAllowed>",
		"xxxxxxx": "<Code>EntityTooLarge</Code><Message>Your proposed upload exceeds the maximum allowed size</Message><MaxSizeAllowed>5</MaxSizeAllowed>",
	} {
		if a := b.post(file, signedForm(writer.SecretKey, "box", `["content-length-range",2,5],`)...); a.status != 400 || !strings.Contains(a.body, want) {
			t.Errorf("%d bytes of 2 to 5: %d %s", len(file), a.status, a.body)
		}
	}
	b.want("another secret", b.post("x", signedForm("not the secret", "box")...), 403, "SignatureDoesNotMatch")
}

// Who has no signature learns nothing of which buckets there are.
func TestFormsAreVerifiedBeforeTheirBucketIsLookedFor(t *testing.T) {
	writer := s3server.User{Name: "writer", AccessKey: "AKIAWRITER", SecretKey: "a secret of the writer", Write: []string{"*"}}
	b := serve(t, s3server.Options{Users: s3server.Users{Users: []s3server.User{writer}}})
	b.want("not signed by the writer", b.postTo("/none", "x", signedForm("not the secret", "none")...), 403, "SignatureDoesNotMatch")
	b.want("signed by the writer", b.postTo("/none", "x", signedForm(writer.SecretKey, "none")...), 404, "NoSuchBucket")
	b.want("no form", b.do("POST", "/none", "x"), 412, "RequestIsNotMultiPartContent")
}
