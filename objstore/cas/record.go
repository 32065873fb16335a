package cas

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// recordKind tells the content of a lease's object from anything else.
const recordKind = "lease"

// recordBytesMax is more than a record ever has.
const recordBytesMax = 16 << 10

// record is the content of a lease's object: one line of JSON. No two are the same.
type record struct {
	Kind    string `json:"etagfs"`
	Fence   uint64 `json:"fence"`   // of the holder, or of the last one
	Holder  string `json:"holder"`  // random; empty: nobody
	Renewal uint64 `json:"renewal"` // how often this holder has written
	TTL     int64  `json:"ttl_ms"`  // how long the record must stay unchanged before the holder is dead
	Name    string `json:"name"`    // of the holder, for people
}

func (r record) ttl() time.Duration { return time.Duration(r.TTL) * time.Millisecond }

// sight is a record somebody saw.
type sight struct {
	record
	version objstore.Version // empty: there is no object
	at      time.Time        // when it had been read
}

func (s sight) cond() objstore.Cond {
	if s.version == "" {
		return objstore.IfAbsent()
	}
	return objstore.IfVersion(s.version)
}

// look reads a lease's object. An empty one is as good as none, but for its version.
func look(ctx context.Context, s Store, key objstore.Key) (sight, error) {
	reader, err := s.Get(ctx, key, objstore.Unconditional())
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return sight{at: time.Now()}, nil
	}
	if err != nil {
		return sight{}, err
	}
	defer reader.Close()
	seen := sight{version: reader.Info().Version}
	switch size := reader.Info().Size; {
	case size > recordBytesMax:
		return sight{}, noLease(key)
	case size > 0:
		text, err := readAll(ctx, reader)
		if err != nil {
			return sight{}, err
		}
		if json.Unmarshal(text, &seen.record) != nil || seen.Kind != recordKind {
			return sight{}, noLease(key)
		}
	}
	seen.at = time.Now()
	return seen, nil
}

// noLease is why an object is left alone.
func noLease(key objstore.Key) error {
	return &objstore.Error{Op: "lease", Key: string(key), Kind: objstore.ErrInvalid, Detail: "the object is there and is no lease: choose another key"}
}

// write puts a record.
func (r record) write(ctx context.Context, s Store, key objstore.Key, cond objstore.Cond) (objstore.Version, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	text = append(text, '\n')
	opt := objstore.PutOptions{ContentType: "application/json", Durability: objstore.Durable}
	info, err := put(ctx, s, key, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }, cond, opt)
	return info.Version, err
}

// unsure reports whether whoever wrote must look at what is there now.
func unsure(err error) bool {
	return objstore.IsLostCondition(err) || errors.Is(err, objstore.ErrUnknown)
}
