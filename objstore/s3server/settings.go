package s3server

import (
	"bytes"
	"context"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/cors"
	"github.com/etagfs/etagfs/objstore/s3server/internal/policy"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// The documents of a bucket in which its settings are kept.
const (
	docPolicy  = "s3.policy"
	docCORS    = "s3.cors"
	docOptions = "s3.options"
)

// bucketOptions are what S3 has no name for; EXTENSIONS.md says how they are set.
type bucketOptions struct {
	ETag              string `json:"etag,omitempty"`               // "md5": as S3's; empty: unique
	RequireConditions string `json:"require-conditions,omitempty"` // "create", "cas", "any"; empty: none
}

func parseOptions(text []byte) (bucketOptions, error) {
	var o bucketOptions
	if err := decodeJSON(bytes.NewReader(text), &o); err != nil {
		return o, s3code.InvalidRequest.With("The options are not a JSON object with the members etag and require-conditions.")
	}
	if o.ETag != "" && o.ETag != "md5" {
		return o, s3code.InvalidArgument.With(`The option etag can be "md5" or absent.`)
	}
	switch o.RequireConditions {
	case "", "create", "cas", "any":
		return o, nil
	default:
		return o, s3code.InvalidArgument.With(`The option require-conditions can be "create", "cas", "any" or absent.`)
	}
}

// bucketSettings are what a bucket's documents say. They are immutable.
type bucketSettings struct {
	name    string
	policy  *policy.Document
	cors    *cors.Rules
	options bucketOptions
}

// settings keeps the settings of buckets in memory: they change only through this server.
type settings struct {
	buckets objstore.Buckets

	mu sync.Mutex
	// Guarded by mu.
	known   map[string]bucketSettings
	changes uint64 // how often any were changed
}

func newSettings(b objstore.Buckets) *settings {
	return &settings{buckets: b, known: make(map[string]bucketSettings)}
}

// of returns the settings of a bucket, reading them the first time.
func (s *settings) of(ctx context.Context, bucket string, store objstore.Store) (bucketSettings, error) {
	s.mu.Lock()
	conf, ok := s.known[bucket]
	changes := s.changes
	s.mu.Unlock()
	if ok {
		return conf, nil
	}
	conf, err := readSettings(ctx, bucket, store)
	if err != nil {
		return conf, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changes == changes { // else what was read may be what was before
		s.known[bucket] = conf
	}
	return conf, nil
}

// change makes a change to the documents of a bucket, or to its existence. Once it returns, nobody goes by
// what was before.
func (s *settings) change(bucket string, f func() error) error {
	err := f()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.known, bucket)
	s.changes++
	return err
}

// documents is the store's, if it keeps any.
func documents(store objstore.Store) (objstore.Documents, bool) {
	if !store.Capabilities().Documents {
		return nil, false
	}
	d, ok := store.(objstore.Documents)
	return d, ok
}

func readSettings(ctx context.Context, bucket string, store objstore.Store) (bucketSettings, error) {
	conf := bucketSettings{name: bucket}
	d, ok := documents(store)
	if !ok {
		return conf, nil
	}
	read := func(name string, use func(text []byte) error) error {
		text, err := d.Document(ctx, name)
		if objstore.KindOf(err) == objstore.ErrNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		return unreadable(use(text))
	}
	err := read(docPolicy, func(text []byte) (err error) {
		conf.policy, err = policy.Parse(text, bucket)
		return err
	})
	if err == nil {
		err = read(docCORS, func(text []byte) (err error) {
			conf.cors, err = compileCORS(text)
			return err
		})
	}
	if err == nil {
		err = read(docOptions, func(text []byte) (err error) {
			conf.options, err = parseOptions(text)
			return err
		})
	}
	return conf, err
}

// unreadable is the failure of a document that was accepted once: nobody gets in by it.
func unreadable(err error) error {
	if err == nil {
		return nil
	}
	return &objstore.Error{Op: "read settings", Kind: objstore.ErrCorrupt, Detail: err.Error()}
}

func compileCORS(text []byte) (*cors.Rules, error) {
	document, err := s3xml.Decode[s3xml.CORSConfiguration](bytes.NewReader(text), documentBytesMax)
	if err != nil {
		return nil, err
	}
	return cors.Compile(document)
}
