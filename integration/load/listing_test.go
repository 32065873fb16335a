package load

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// listTime is how long a mount may live for that: one of a bucket asks for the attributes of each name.
const listTime = 6 * time.Hour

// A directory of ENTRIES files, 10,000 if that is not set, is listed through each kind of mount, and through S3, by processes whose
// control groups allow 64 MiB: each name comes once, and no process has more.
func TestListingFitsIntoLittleMemory(t *testing.T) {
	mounttest.Need(t, "binary", "fuse")
	entries := int(number(t, "ENTRIES", 10_000))
	store := filepath.Join(t.TempDir(), "store")
	fill(t, store, entries)
	t.Run("mount", func(t *testing.T) {
		m, c := confinedMount(t, "the mount", mounttest.Options{Source: store, Deadline: listTime})
		listAll(t, m, entries)
		other, attached := confinedMount(t, "the attached mount", mounttest.Options{Source: store, Deadline: listTime})
		listAll(t, other, entries)
		expectLittle(t, c, attached)
		other.Unmount()
		m.Unmount()
	})
	t.Run("server", func(t *testing.T) {
		address, server := confinedServer(t, store)
		listObjects(t, address, entries)
		for _, source := range []string{address + "/main", "s3://main?region=us-east-1&anonymous=true&endpoint=" + address} {
			m, c := confinedMount(t, "the mount", mounttest.Options{Source: source, Deadline: listTime})
			listAll(t, m, entries)
			expectLittle(t, server, c)
			m.Unmount()
		}
	})
}

// entryName is the name of the n-th file, of ten bytes.
func entryName(n int) string { return fmt.Sprintf("f%09d", n) }

// fill makes a store whose one directory has so many files of a few bytes.
func fill(t *testing.T, store string, entries int) {
	t.Helper()
	engine, err := badgerstore.Open(t.Context(), store, badgerstore.Options{Profile: badgerstore.ProfileServer, Create: true}, badgerstore.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := engine.Bucket(t.Context(), badgerstore.MainBucket)
	if err != nil {
		t.Fatal(errors.Join(err, engine.Close()))
	}
	var next atomic.Int64
	failures := make([]error, writers)
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			for n := int(next.Add(1) - 1); n < entries && failures[w] == nil; n = int(next.Add(1) - 1) {
				opt := objstore.PutOptions{Durability: objstore.Visible, Length: 1, LengthKnown: true}
				_, failures[w] = bucket.Put(t.Context(), objstore.Key("many/"+entryName(n)), bytes.NewReader([]byte("x")), objstore.IfAbsent(), opt)
			}
		})
	}
	working.Wait()
	if err := errors.Join(append(failures, engine.Close())...); err != nil {
		t.Fatal(err)
	}
}

// seen counts names, each of which is to come once.
type seen []uint64

// add counts a name.
func (s seen) add(t *testing.T, name string) {
	var n int
	if _, err := fmt.Sscanf(name, "f%d", &n); err != nil || n >= 64*len(s) || entryName(n) != name {
		t.Fatalf("there is %q", name)
	}
	if s[n/64]&(1<<(n%64)) != 0 {
		t.Fatalf("%q came twice", name)
	}
	s[n/64] |= 1 << (n % 64)
}

// listAll lists the directory through a mount.
func listAll(t *testing.T, m *mounttest.Mount, entries int) {
	t.Helper()
	begun := time.Now()
	d, err := os.Open(m.Path("many"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close() // it is only read
	names, count := make(seen, entries/64+1), 0
	for {
		some, err := d.Readdirnames(1000)
		for _, name := range some {
			names.add(t, name)
		}
		count += len(some)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("after %d names: %v", count, err)
		}
	}
	if count != entries {
		t.Errorf("%d names instead of %d", count, entries)
	}
	t.Logf("%s: %d names in %v", m.Store, count, time.Since(begun).Round(time.Millisecond))
}

// listObjects lists the same through S3.
func listObjects(t *testing.T, address string, entries int) {
	t.Helper()
	begun := time.Now()
	names, count, token := make(seen, entries/64+1), 0, ""
	for {
		query := url.Values{"list-type": {"2"}, "prefix": {"many/"}}
		if token != "" {
			query.Set("continuation-token", token)
		}
		page := listPage(t, address+"/main?"+query.Encode())
		for _, object := range page.Contents {
			names.add(t, object.Key[len("many/"):])
		}
		count += len(page.Contents)
		if token = page.NextContinuationToken; token == "" {
			break
		}
	}
	if count != entries {
		t.Errorf("%d keys instead of %d", count, entries)
	}
	t.Logf("S3: %d keys in %v", count, time.Since(begun).Round(time.Millisecond))
}

// listed is a page of a listing.
type listed struct {
	Contents              []struct{ Key string }
	NextContinuationToken string
}

func listPage(t *testing.T, address string) (page listed) {
	t.Helper()
	answer, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", address, answer.Status)
	}
	if err := xml.NewDecoder(answer.Body).Decode(&page); err != nil {
		t.Fatal(err)
	}
	return page
}
