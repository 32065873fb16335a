package s3server

import (
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// target is what the address of a request names. The empty bucket is the service itself,
// the empty key the bucket.
type target struct {
	bucket string
	key    objstore.Key
}

type level uint8

const (
	levelService level = iota
	levelBucket
	levelObject
)

func (t target) level() level {
	switch {
	case t.bucket == "":
		return levelService
	case t.key == "":
		return levelBucket
	default:
		return levelObject
	}
}

// targetOf finds the bucket in the host name if that ends in domain, else in the path. All
// that follows is the key, byte by byte: "..", "//" and "." mean nothing here.
func targetOf(r *http.Request, domain string) target {
	path := strings.TrimPrefix(r.URL.Path, "/")
	if bucket, ok := bucketInHost(r.Host, domain); ok {
		return target{bucket, objstore.Key(path)}
	}
	bucket, key, _ := strings.Cut(path, "/")
	return target{bucket, objstore.Key(key)}
}

func bucketInHost(host, domain string) (bucket string, ok bool) {
	if domain == "" {
		return "", false
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	bucket, ok = strings.CutSuffix(strings.ToLower(host), "."+strings.ToLower(domain))
	return bucket, ok && bucket != ""
}

// operation is one of S3's, by its name there.
type operation struct {
	name   string
	action string // what a policy calls the permission; empty: the handler asks for each key
	access access
	handle func(*call) error
}

// opPostObject is signed in its body.
const opPostObject = "PostObject"

// opNamespace carries requests that see to their acknowledgement themselves.
const opNamespace = "Namespace"

// route leads to an operation. sub is the sub-resource, a query parameter that selects
// another operation than the method alone would; header likewise, even if it is empty: without its source a copy is not
// to become a put of nothing, nor an append one that replaces.
type route struct {
	level  level
	method string
	sub    string
	header string
	op     operation
}

// routeKey is how routes are found.
type routeKey struct {
	level  level
	method string
	sub    string
}

// router finds the operation of a request. It is immutable.
type router struct {
	routes map[routeKey][]route // those with a header first
}

func newRouter() *router {
	r := &router{make(map[routeKey][]route)}
	for _, e := range append(bucketRoutes(), objectRoutes()...) {
		k := routeKey{e.level, e.method, e.sub}
		r.routes[k] = append(r.routes[k], e)
	}
	return r
}

// find is the operation a request asks for. ok is false if there is none: the caller answers
// 501, for a sub-resource that is not known must not become the operation without it.
func (rt *router) find(t target, method string, query url.Values, h http.Header) (op operation, ok bool) {
	sub, ok := subresource(t.level(), query)
	if !ok {
		return operation{}, false
	}
	for _, e := range rt.routes[routeKey{t.level(), method, sub}] {
		if e.header == "" || len(h.Values(e.header)) > 0 {
			return e.op, true
		}
	}
	return operation{}, false
}

// subresource is the one sub-resource among the parameters. Two of them at once name
// nothing, and so does one the table of routes does not have.
func subresource(l level, query url.Values) (sub string, ok bool) {
	for name, values := range query {
		if !selects(l, name, values) {
			continue
		}
		if sub != "" {
			return "", false
		}
		sub = name
	}
	return sub, true
}

// selects reports whether a parameter is a sub-resource: one that S3 or this server knows,
// or any that has no value and is no parameter.
func selects(l level, name string, values []string) bool {
	switch name {
	case "acl", "accelerate", "analytics", "attributes", "cors", "delete", "encryption", "events", "etagfs-namespace", "etagfs-options",
		"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging", "metrics", "notification",
		"object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock", "renameObject", "replication",
		"requestPayment", "restore", "retention", "select", "session", "tagging", "torrent", "uploadId", "uploads",
		"versioning", "versions", "website":
		return true
	case "list-type":
		return l == levelBucket
	case "prefix", "delimiter", "marker", "max-keys", "encoding-type", "continuation-token", "start-after", "fetch-owner",
		"versionId", "partNumber", "key-marker", "upload-id-marker", "version-id-marker", "max-uploads", "max-parts",
		"part-number-marker", "suffix", "ping", "x-id", "max-buckets", "bucket-region", "select-type":
		return false
	}
	if strings.HasPrefix(name, "response-") || strings.HasPrefix(strings.ToLower(name), "x-amz-") {
		return false
	}
	return len(values) > 0 && values[0] == ""
}

func bucketRoutes() []route {
	return []route{
		{levelService, http.MethodGet, "", "", operation{"ListBuckets", "s3:ListAllMyBuckets", accessNone, (*call).listBuckets}},

		{levelBucket, http.MethodPut, "", "", operation{"CreateBucket", "s3:CreateBucket", accessAdmin, (*call).createBucket}},
		{levelBucket, http.MethodDelete, "", "", operation{"DeleteBucket", "s3:DeleteBucket", accessAdmin, (*call).deleteBucket}},
		{levelBucket, http.MethodHead, "", "", operation{"HeadBucket", "s3:ListBucket", accessRead, (*call).headBucket}},
		{levelBucket, http.MethodGet, "", "", operation{"ListObjects", "s3:ListBucket", accessRead, (*call).listObjects}},
		{levelBucket, http.MethodGet, "list-type", "", operation{"ListObjectsV2", "s3:ListBucket", accessRead, (*call).listObjectsV2}},
		{levelBucket, http.MethodGet, "versions", "", operation{"ListObjectVersions", "s3:ListBucketVersions", accessRead, (*call).listVersions}},
		{levelBucket, http.MethodGet, "location", "", operation{"GetBucketLocation", "s3:GetBucketLocation", accessRead, (*call).bucketLocation}},
		{levelBucket, http.MethodGet, "versioning", "", operation{"GetBucketVersioning", "s3:GetBucketVersioning", accessRead, (*call).bucketVersioning}},
		{levelBucket, http.MethodGet, "uploads", "", operation{"ListMultipartUploads", "s3:ListBucketMultipartUploads", accessRead, (*call).listUploads}},
		{levelBucket, http.MethodGet, "events", "", operation{"ListenBucketNotification", "s3:ListenBucketNotification", accessRead, (*call).listen}},

		{levelBucket, http.MethodGet, "policy", "", operation{"GetBucketPolicy", "s3:GetBucketPolicy", accessAdmin, (*call).getPolicy}},
		{levelBucket, http.MethodPut, "policy", "", operation{"PutBucketPolicy", "s3:PutBucketPolicy", accessAdmin, (*call).putPolicy}},
		{levelBucket, http.MethodDelete, "policy", "", operation{"DeleteBucketPolicy", "s3:DeleteBucketPolicy", accessAdmin, (*call).deletePolicy}},
		{levelBucket, http.MethodGet, "cors", "", operation{"GetBucketCors", "s3:GetBucketCORS", accessAdmin, (*call).getCORS}},
		{levelBucket, http.MethodPut, "cors", "", operation{"PutBucketCors", "s3:PutBucketCORS", accessAdmin, (*call).putCORS}},
		{levelBucket, http.MethodDelete, "cors", "", operation{"DeleteBucketCors", "s3:PutBucketCORS", accessAdmin, (*call).deleteCORS}},
		{levelBucket, http.MethodGet, "etagfs-options", "", operation{"GetBucketOptions", "etagfs:GetBucketOptions", accessAdmin, (*call).getBucketOptions}},
		{levelBucket, http.MethodPut, "etagfs-options", "", operation{"PutBucketOptions", "etagfs:PutBucketOptions", accessAdmin, (*call).putBucketOptions}},

		{levelBucket, http.MethodPost, "etagfs-namespace", "", operation{opNamespace, "", accessRead, (*call).namespace}},
		{levelBucket, http.MethodPost, "delete", "", operation{"DeleteObjects", "", accessWrite, (*call).deleteObjects}},
		{levelBucket, http.MethodPost, "", "", operation{opPostObject, "", accessWrite, (*call).postObject}},
	}
}

func objectRoutes() []route {
	return []route{
		{levelObject, http.MethodGet, "", "", operation{"GetObject", "s3:GetObject", accessRead, (*call).getObject}},
		{levelObject, http.MethodHead, "", "", operation{"HeadObject", "s3:GetObject", accessRead, (*call).getObject}},
		{levelObject, http.MethodGet, "attributes", "", operation{"GetObjectAttributes", "s3:GetObjectAttributes", accessRead, (*call).getAttributes}},
		{levelObject, http.MethodGet, "tagging", "", operation{"GetObjectTagging", "s3:GetObjectTagging", accessRead, (*call).getTagging}},
		{levelObject, http.MethodPut, "tagging", "", operation{"PutObjectTagging", "s3:PutObjectTagging", accessWrite, (*call).putTagging}},
		{levelObject, http.MethodDelete, "tagging", "", operation{"DeleteObjectTagging", "s3:DeleteObjectTagging", accessWrite, (*call).deleteTagging}},

		{levelObject, http.MethodPut, "", hdrCopySource, operation{"CopyObject", "s3:PutObject", accessWrite, (*call).copyObject}},
		{levelObject, http.MethodPut, "", hdrWriteOffset, operation{"PutObject", "s3:PutObject", accessWrite, (*call).appendObject}},
		{levelObject, http.MethodPut, "", "", operation{"PutObject", "s3:PutObject", accessWrite, (*call).putObject}},
		{levelObject, http.MethodPut, "renameObject", "", operation{"RenameObject", "s3:PutObject", accessWrite, (*call).renameObject}},
		{levelObject, http.MethodDelete, "", "", operation{"DeleteObject", "s3:DeleteObject", accessWrite, (*call).deleteObject}},

		{levelObject, http.MethodPost, "uploads", "", operation{"CreateMultipartUpload", "s3:PutObject", accessWrite, (*call).createUpload}},
		{levelObject, http.MethodPut, "uploadId", hdrCopySource, operation{"UploadPartCopy", "s3:PutObject", accessWrite, (*call).uploadPartCopy}},
		{levelObject, http.MethodPut, "uploadId", "", operation{"UploadPart", "s3:PutObject", accessWrite, (*call).uploadPart}},
		{levelObject, http.MethodPost, "uploadId", "", operation{"CompleteMultipartUpload", "s3:PutObject", accessWrite, (*call).completeUpload}},
		{levelObject, http.MethodDelete, "uploadId", "", operation{"AbortMultipartUpload", "s3:AbortMultipartUpload", accessWrite, (*call).abortUpload}},
		{levelObject, http.MethodGet, "uploadId", "", operation{"ListParts", "s3:ListMultipartUploadParts", accessRead, (*call).listParts}},
	}
}
