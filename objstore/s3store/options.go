package s3store

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// Defaults and limits.
const (
	PartBytesDefault     = 8 << 20
	PrefetchBytesDefault = 64 << 10
	UploadsDefault       = 8
	partsMax             = 10000
)

// Options say which bucket is meant and how it is used.
type Options struct {
	Bucket        string
	Prefix        string // of all keys, without the "/" that follows it; empty: the whole bucket
	Endpoint      string // URL of the service; empty: AWS
	Region        string // empty: the environment's, else us-east-1
	PartBytes     int64  // larger bodies are sent in parts of this size
	PrefetchBytes int64  // objects up to this size are read at once and kept
	Uploads       int    // puts that hold a part in memory at the same time
	ReadOnly      bool   // nothing is written, not even to probe
}

// Clock waits.
type Clock interface {
	// Sleep returns after d, or with the context's error.
	Sleep(ctx context.Context, d time.Duration) error
}

// Parts are what a store is built from. All have defaults.
type Parts struct {
	HTTP        *http.Client // nil: the SDK's
	Clock       Clock
	Rand        io.Reader // of write ids, probe keys and jitter
	Logger      *slog.Logger
	Credentials aws.CredentialsProvider // nil: AWS's chain
}

// ParseURL understands s3://bucket/prefix?endpoint=URL&region=NAME and http(s)://host:port/bucket/prefix.
func ParseURL(text string) (Options, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Options{}, &objstore.Error{Op: "open store", Key: text, Kind: objstore.ErrInvalid, Err: err}
	}
	opt := Options{Region: u.Query().Get("region")}
	switch u.Scheme {
	case "s3":
		opt.Bucket, opt.Prefix, opt.Endpoint = u.Host, strings.Trim(u.Path, "/"), u.Query().Get("endpoint")
	case "http", "https":
		opt.Bucket, opt.Prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		opt.Endpoint = u.Scheme + "://" + u.Host
	}
	if opt.Bucket == "" {
		return Options{}, &objstore.Error{
			Op: "open store", Key: text, Kind: objstore.ErrInvalid,
			Detail: "use s3://bucket/prefix or http://host:port/bucket",
		}
	}
	return opt, nil
}

func (o Options) orDefaults() Options {
	if o.PartBytes <= 0 {
		o.PartBytes = PartBytesDefault
	}
	if o.PrefetchBytes <= 0 {
		o.PrefetchBytes = PrefetchBytesDefault
	}
	if o.Uploads <= 0 {
		o.Uploads = UploadsDefault
	}
	return o
}

func (p Parts) orDefaults() Parts {
	if p.Clock == nil {
		p.Clock = wallClock{}
	}
	if p.Rand == nil {
		p.Rand = rand.Reader
	}
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	return p
}

type wallClock struct{}

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Open connects to the store and, unless it is read-only, probes what it can do.
func Open(ctx context.Context, opt Options, parts Parts) (*Store, error) {
	opt, parts = opt.orDefaults(), parts.orDefaults()
	var load []func(*config.LoadOptions) error
	if parts.Credentials != nil {
		load = append(load, config.WithCredentialsProvider(parts.Credentials))
	}
	if opt.Region != "" {
		load = append(load, config.WithRegion(opt.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &objstore.Error{Op: "open store", Key: opt.Bucket, Kind: objstore.ErrUnavailable, Err: err}
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if parts.HTTP != nil {
			o.HTTPClient = parts.HTTP
		}
		if opt.Endpoint != "" {
			o.BaseEndpoint = aws.String(opt.Endpoint)
			o.UsePathStyle = true
		}
	})
	s := newStore(client, opt, parts)
	if opt.ReadOnly {
		return s, nil
	}
	found, err := s.probe(ctx)
	if err != nil {
		return nil, err
	}
	s.caps, s.replays = found.caps, found.replays
	for _, f := range found.findings {
		parts.Logger.Debug("probed the store", "finding", f.Name, "ok", f.OK, "detail", f.Detail)
	}
	return s, nil
}
