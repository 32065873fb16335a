package s3server

import (
	"maps"
	"net"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/policy"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// userName is what policies and the log call who asks; empty: anonymous.
func (c *call) userName() string {
	if c.user == nil || c.signed == nil || c.signed.AccessKey == "" {
		return ""
	}
	return c.user.Name
}

// permitOperation asks for what the table of routes says the operation needs.
func (c *call) permitOperation() error {
	if err := c.checkOwner("x-amz-expected-bucket-owner"); err != nil {
		return err
	}
	if c.level() == levelService {
		return c.permitService()
	}
	keys, prefix := noKeys, string(c.key)
	switch c.op.action {
	case "s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads":
		prefix = c.query.Get("prefix")
		keys = c.listingKeys
	case "s3:PutObject":
		keys = c.creationKeys
	case "s3:DeleteObject":
		keys = c.conditionKeys
	}
	if err := c.permit(c.op.action, c.op.access, c.bucket, c.key, prefix, keys); err != nil {
		return err
	}
	return c.permitCondition()
}

// checkOwner refuses a request for a bucket of someone else than who owns all buckets here.
func (c *call) checkOwner(header string) error {
	if expected := c.r.Header.Get(header); expected != "" && expected != owner {
		return s3code.AccessDenied
	}
	return nil
}

func (c *call) permitService() error {
	if c.user == nil {
		return s3code.AccessDenied
	}
	return nil
}

// requestKeys are the condition keys that every request has, whatever it asks for.
func (c *call) requestKeys() map[string]string {
	keys := map[string]string{
		"aws:SecureTransport": strconv.FormatBool(c.r.TLS != nil),
		"aws:SourceIp":        c.remote(),
	}
	for name, value := range map[string]string{
		"aws:Referer": c.r.Referer(), "aws:UserAgent": c.r.UserAgent(), "aws:username": c.userName(),
		"s3:x-amz-content-sha256": c.r.Header.Get("x-amz-content-sha256"),
	} {
		if value != "" {
			keys[name] = value
		}
	}
	switch c.signed.Source {
	case sigv4.Header:
		keys["s3:authType"] = "REST-HEADER"
	case sigv4.Query:
		keys["s3:authType"] = "REST-QUERY-STRING"
	case sigv4.PostForm:
		keys["s3:authType"] = "POST"
	default:
		return keys
	}
	keys["s3:signatureversion"] = "AWS4-HMAC-SHA256"
	return keys
}

// remote is the address of the client, without its port.
func (c *call) remote() string {
	host, _, err := net.SplitHostPort(c.r.RemoteAddr)
	if err != nil {
		return c.r.RemoteAddr
	}
	return host
}

// noKeys are the condition keys of an operation that has none but those of every request.
func noKeys() map[string]string { return make(map[string]string) }

// listingKeys are those of a listing.
func (c *call) listingKeys() map[string]string {
	keys := make(map[string]string)
	for _, name := range []string{"prefix", "delimiter", "max-keys"} {
		if c.query.Has(name) {
			keys["s3:"+name] = c.query.Get(name)
		}
	}
	return keys
}

// permit decides whether the caller may do action on a key, or on a bucket if key is empty. The
// bucket's policy can deny and allow, the user's own rights can allow. prefix is what the
// user's rights must cover; keysOf are the condition keys for a policy. An administrator of a bucket keeps the way to its policy.
func (c *call) permit(action string, a access, bucket string, key objstore.Key, prefix string, keysOf func() map[string]string) error {
	conf := c.conf
	if bucket != c.bucket {
		var err error
		if conf, err = c.settingsOf(bucket); err != nil {
			return err
		}
	}
	own := c.user != nil && (c.user.may(a, bucket, prefix) || action == "s3:ListBucket" && c.op.name == "HeadBucket" && c.user.touches(bucket))
	decision := policy.Silent
	if conf.policy != nil {
		resource := policy.BucketARN(bucket)
		if key != "" {
			resource = policy.ObjectARN(bucket, string(key))
		}
		keys := keysOf()
		maps.Copy(keys, c.requestKeys())
		decision = conf.policy.Decide(policy.Request{Principal: c.userName(), Action: action, Resource: resource, Keys: keys})
	}
	switch {
	case decision == policy.Deny && !(own && strings.HasSuffix(action, "BucketPolicy")):
		return s3code.AccessDenied
	case decision == policy.Allow || own:
		return nil
	default:
		return s3code.AccessDenied
	}
}

func (c *call) settingsOf(bucket string) (bucketSettings, error) {
	if c.conf.name == bucket {
		return c.conf, nil
	}
	store, err := c.openStore(bucket)
	if err != nil {
		return bucketSettings{}, err
	}
	return c.settings.of(c.ctx(), bucket, store)
}
