package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// Filesystems of S3 that mount a bucket of etagfs serve, as Debian has them.
const (
	s3fsName   = "s3fs"
	rcloneName = "rclone mount"
)

const (
	peerAccessKey = "bench"
	peerSecretKey = "bench-secret-key"
	peerBucket    = "main"
)

// addS3Peers serves a new store for each of the names, and mounts it with that.
func (b *bench) addS3Peers(ctx context.Context, program, list string) error {
	for name := range strings.SplitSeq(list, ",") {
		var mount func(ctx context.Context, url string) (*subject, error)
		switch name {
		case "":
			continue
		case "s3fs":
			mount = b.mountS3fs
		case "rclone":
			mount = b.mountRclone
		default:
			return fmt.Errorf("-peers: %q is neither s3fs nor rclone", name)
		}
		url, err := b.serve(ctx, program, name+"-store")
		if err != nil {
			return err
		}
		s, err := mount(ctx, url)
		if err != nil {
			return err
		}
		s.peer = true
		b.onClose(s.daemon.stop)
		b.filesystems = append(b.filesystems, s)
	}
	return nil
}

// serve serves a new store until the end.
func (b *bench) serve(ctx context.Context, program, store string) (url string, err error) {
	address, err := freeAddress()
	if err != nil {
		return "", err
	}
	d, err := startProcess(ctx, &daemon{name: "etagfs serve", address: address},
		[]string{"ETAGFS_ACCESS_KEY=" + peerAccessKey, "ETAGFS_SECRET_KEY=" + peerSecretKey},
		program, "serve", b.path(store), "--listen", address)
	if err != nil {
		return "", err
	}
	b.onClose(d.stop)
	return "http://" + address, nil
}

// freeAddress is one that nobody listened on a moment ago.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// mountS3fs mounts with s3fs, which uploads before close(2) returns.
func (b *bench) mountS3fs(ctx context.Context, url string) (*subject, error) {
	at := b.path("s3fs-mount")
	d := &daemon{name: s3fsName, mountPoint: at}
	if err := os.Mkdir(at, 0o755); err != nil {
		return nil, err
	}
	d, err := startProcess(ctx, d, []string{"AWSACCESSKEYID=" + peerAccessKey, "AWSSECRETACCESSKEY=" + peerSecretKey},
		"s3fs", peerBucket, at, "-f", "-o", "url="+url, "-o", "use_path_request_style", "-o", "endpoint=us-east-1", "-o", "umask=022")
	if err != nil {
		return nil, err
	}
	return &subject{name: s3fsName, dir: at, device: fuseDevice(at), daemon: d}, nil
}

// mountRclone mounts with rclone, which uploads after close(2): at once, as it is asked to here.
func (b *bench) mountRclone(ctx context.Context, url string) (*subject, error) {
	at := b.path("rclone-mount")
	control, err := freeAddress()
	if err != nil {
		return nil, err
	}
	if err := os.Mkdir(at, 0o755); err != nil {
		return nil, err
	}
	d, err := startProcess(ctx, &daemon{name: rcloneName, mountPoint: at},
		[]string{"AWS_CA_BUNDLE=", "RCLONE_CONFIG=/dev/null", "RCLONE_CONFIG_T_TYPE=s3", "RCLONE_CONFIG_T_PROVIDER=Other", "RCLONE_CONFIG_T_ENDPOINT=" + url,
			"RCLONE_CONFIG_T_ACCESS_KEY_ID=" + peerAccessKey, "RCLONE_CONFIG_T_SECRET_ACCESS_KEY=" + peerSecretKey, "RCLONE_CONFIG_T_REGION=us-east-1"},
		"rclone", "mount", "t:"+peerBucket, at, "--vfs-cache-mode=full", "--vfs-write-back=0s", "--cache-dir="+b.path("rclone-cache"),
		"--rc", "--rc-addr="+control, "--rc-no-auth")
	if err != nil {
		return nil, err
	}
	uploaded := func(ctx context.Context) error { return rcloneUploaded(ctx, control) }
	return &subject{name: rcloneName, dir: at, device: fuseDevice(at), daemon: d, uploaded: uploaded}, nil
}

// rcloneUploaded returns once rclone has nothing to upload.
func rcloneUploaded(ctx context.Context, control string) error {
	for {
		left, err := rcloneUploads(ctx, control)
		if left == 0 || err != nil {
			return err
		}
		if err := wait(ctx, time.Millisecond); err != nil {
			return err
		}
	}
}

func rcloneUploads(ctx context.Context, control string) (left int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+control+"/vfs/stats", nil)
	if err != nil {
		return 0, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	var stats struct {
		DiskCache struct{ UploadsInProgress, UploadsQueued int }
	}
	if err := json.NewDecoder(answer.Body).Decode(&stats); err != nil || answer.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("ask rclone for its uploads: %s (%w)", answer.Status, err)
	}
	return stats.DiskCache.UploadsInProgress + stats.DiskCache.UploadsQueued, nil
}

// peerBars say that every row is three times as fast as on a filesystem of S3, or 0.9 of native where that is
// less. What each bar allows is added to the values.
func peerBars(values measure.Values) (bars []measure.Bar) {
	cells := slices.SortedFunc(maps.Keys(values), func(a, b measure.Cell) int { return strings.Compare(a.Row+a.Subject, b.Row+b.Subject) })
	for _, c := range cells {
		native := values[measure.At(c.Row, nativeName)]
		if c.Subject != s3fsName && c.Subject != rcloneName || native == nil {
			continue
		}
		allowed := make([]float64, len(values[c]))
		for i, peer := range values[c] {
			allowed[i] = math.Max(peer/3, native[i]/0.9)
		}
		limit := measure.At(c.Row, "what is allowed beside "+c.Subject)
		values[limit] = allowed
		bars = append(bars, measure.RatioAtMost(c.Row+": a third of "+c.Subject+", or native/0.9", measure.At(c.Row, etagfsName), limit, 1))
	}
	return bars
}
