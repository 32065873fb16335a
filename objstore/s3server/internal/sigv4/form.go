package sigv4

import (
	"crypto/hmac"
	"fmt"
	"time"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Form is the fields of a POST form before the file, by lower-case name. The
// caller sets "bucket" to the bucket the form was sent to, whatever the form
// itself says, and "key" to the key after ${filename} was replaced.
type Form map[string]string

// VerifyForm checks the signature of a POST form, which is over its policy,
// and that the policy is not expired. A form without policy is Anonymous.
func (v *Verifier) VerifyForm(f Form) (*Signed, *PostPolicy, error) {
	if f["policy"] == "" {
		return &Signed{Source: Anonymous, Payload: PayloadUnsigned}, nil, nil
	}
	a, err := v.parseForm(f)
	if err != nil {
		return nil, nil, err
	}
	secret, ok := v.options.Secret(a.credential.accessKey)
	if !ok {
		return nil, nil, s3code.InvalidAccessKeyId.With("", s3code.Detail{Name: "AWSAccessKeyId", Value: a.credential.accessKey})
	}
	want := sign(v.signer(secret, a.credential).key, f["policy"])
	if !hmac.Equal([]byte(want), []byte(a.signature)) {
		return nil, nil, signatureMismatch(a.credential.accessKey, f["policy"], a.signature)
	}
	p, err := parsePostPolicy(f["policy"])
	if err != nil {
		return nil, nil, err
	}
	if v.options.Now().After(p.expiration) {
		return nil, nil, s3code.AccessDenied.With("Invalid according to Policy: Policy expired.")
	}
	return a.signed, p, nil
}

func (v *Verifier) parseForm(f Form) (attempt, error) {
	if f["x-amz-signature"] == "" && f["signature"] != "" {
		return attempt{}, s3code.InvalidRequest.With(unsupportedV2)
	}
	for _, name := range []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"} {
		if f[name] == "" {
			return attempt{}, badField(name, "", fmt.Sprintf("Bucket POST must contain a field named '%s'.  "+
				"If it is specified, please check the order of the fields.", name))
		}
	}
	switch f["x-amz-algorithm"] {
	case algorithm:
	case algorithmV4A:
		return attempt{}, unsupportedV4A("x-amz-algorithm")
	default:
		return attempt{}, badField("x-amz-algorithm", f["x-amz-algorithm"], `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	}
	complain := func(text string, _ ...s3code.Detail) error {
		return badField("x-amz-credential", f["x-amz-credential"], text)
	}
	c, err := parseCredential(f["x-amz-credential"], complain)
	if err != nil {
		return attempt{}, err
	}
	if err := v.checkRegion(c, complain); err != nil {
		return attempt{}, err
	}
	t, err := time.Parse(timeFormat, f["x-amz-date"])
	if err != nil || t.Format(dateFormat) != c.date {
		return attempt{}, badField("x-amz-date", f["x-amz-date"], "X-Amz-Date must be of the day of the credential, "+
			`in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if f["x-amz-security-token"] != "" {
		return attempt{}, noSessionTokens()
	}
	s := &Signed{Source: PostForm, AccessKey: c.accessKey, Region: c.region, Time: t, Payload: PayloadUnsigned}
	return attempt{signed: s, credential: c, signature: f["x-amz-signature"]}, nil
}

func badField(name, value, message string) error {
	return s3code.InvalidArgument.With(message,
		s3code.Detail{Name: "ArgumentName", Value: name}, s3code.Detail{Name: "ArgumentValue", Value: value})
}
