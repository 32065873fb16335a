package s3store

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/etagfs/etagfs/objstore"
)

// Defaults and limits.
const (
	PartBytesDefault     = 8 << 20
	PrefetchBytesDefault = 64 << 10
	UploadsDefault       = 8
	partsMax             = 9999 // one number is for the mark, see [Store.SweepUploads]
)

// Options say which bucket is meant and how it is used.
type Options struct {
	Bucket        string
	Prefix        string        // of all keys, without the "/" that follows it; empty: the whole bucket
	Endpoint      string        // URL of the service; empty: AWS
	Region        string        // empty: the environment's, else us-east-1
	Anonymous     bool          // requests are not signed
	PartBytes     int64         // larger bodies are sent in parts of this size
	PrefetchBytes int64         // objects up to this size are read at once and kept
	Uploads       int           // puts that hold a part in memory at the same time
	ReadOnly      bool          // nothing is written, not even to probe
	Patience      time.Duration // with a store that stalls; 0: PatienceDefault
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
	Notes       Notes                   // nil: the store is probed each time it is opened
	Now         func() time.Time        // for the age of notes
}

func (o Options) orDefaults() Options {
	if o.PartBytes <= 0 {
		o.PartBytes = PartBytesDefault
	}
	if o.PrefetchBytes <= 0 {
		o.PrefetchBytes = PrefetchBytesDefault
	}
	if o.Patience <= 0 {
		o.Patience = PatienceDefault
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
	if p.Now == nil {
		p.Now = time.Now
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

// Open connects to the store and, unless it is read-only, probes what it can do, or confirms what its notes say.
func Open(ctx context.Context, opt Options, parts Parts) (*Store, error) {
	opt, parts = opt.orDefaults(), parts.orDefaults()
	client, err := connect(ctx, opt, parts)
	if err != nil {
		return nil, err
	}
	s := newStore(client, opt, parts)
	if s.server, err = s.contact(ctx); err != nil {
		return nil, explained(opt, err)
	}
	s.ours = s.server == serverName
	if opt.ReadOnly {
		return s, nil
	}
	switch done, err := s.recall(ctx); {
	case err != nil:
		return nil, explained(opt, err)
	case done:
		return s, nil
	}
	found, err := s.probe(ctx)
	if err != nil {
		return nil, explained(opt, err)
	}
	s.caps, s.ours, s.tokens, s.marks, s.findings = found.caps, found.s.ours, found.tokens, found.marks, found.findings
	for _, f := range found.findings {
		parts.Logger.Debug("probed the store", "finding", f.Name, "ok", f.OK, "detail", f.Detail)
	}
	s.note()
	return s, nil
}

// Keys are credentials that come from nowhere else.
func Keys(access, secret string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: access, SecretAccessKey: secret}, nil
	})
}

// connect makes a client that sends every request once: what is sent again is decided here.
func connect(ctx context.Context, opt Options, parts Parts) (*s3.Client, error) {
	load := []func(*config.LoadOptions) error{
		config.WithRetryer(func() aws.Retryer { return aws.NopRetryer{} }),
		config.WithLogger(logging.Nop{}), // what matters comes back as an error
	}
	switch {
	case opt.Anonymous:
		load = append(load, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	case parts.Credentials != nil:
		load = append(load, config.WithCredentialsProvider(parts.Credentials))
	}
	if opt.Region != "" {
		load = append(load, config.WithRegion(opt.Region))
	}
	cfg, err := config.LoadDefaultConfig(ctx, load...)
	if err != nil {
		return nil, &objstore.Error{Op: "open store", Key: opt.Bucket, Kind: objstore.ErrInvalid, Err: err}
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	if !aws.IsCredentialsProvider(cfg.Credentials, aws.AnonymousCredentials{}) {
		if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
			return nil, withoutCredentials(opt, err)
		}
	}
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		if parts.HTTP != nil {
			o.HTTPClient = parts.HTTP
		}
		o.HTTPClient = steady{o.HTTPClient, opt.Patience}
		if opt.Endpoint != "" {
			o.BaseEndpoint = aws.String(opt.Endpoint)
			o.UsePathStyle = true
		}
	}), nil
}
