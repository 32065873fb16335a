package cas_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// A list that several processes add to.
func ExampleUpdate() {
	ctx := context.Background()
	store := memstore.NewBucket(memstore.Options{})
	for _, name := range []string{"ana", "bo"} {
		info, err := cas.Update(ctx, store, "guests", func(_ context.Context, now cas.Current) ([]byte, error) {
			return append(now.Content, name+"\n"...), nil
		}, cas.Options{})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(info.Size, "bytes")
	}
	// Output:
	// 4 bytes
	// 7 bytes
}

// What is written under a lease carries its token, so that a holder who was asleep cannot overwrite what the next one wrote.
func ExampleHold() {
	ctx := context.Background()
	store := memstore.NewBucket(memstore.Options{})
	lease := cas.LeaseOptions{TTL: 10 * time.Second, Name: "example"}
	err := cas.Hold(ctx, store, "locks/report", lease, func(ctx context.Context, fence uint64) error {
		_, err := cas.Update(ctx, store, "report", func(context.Context, cas.Current) ([]byte, error) {
			return []byte("by the holder"), nil
		}, cas.Options{Fence: fence + 1}) // as the next holder would
		if err != nil {
			return err
		}
		_, err = cas.Update(ctx, store, "report", func(context.Context, cas.Current) ([]byte, error) {
			return []byte("too late"), nil
		}, cas.Options{Fence: fence})
		fmt.Println(errors.Is(err, cas.Stale))
		return nil
	})
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Acquire and Release, for leases that are not held by a single function.
func ExampleAcquire() {
	ctx := context.Background()
	store := memstore.NewBucket(memstore.Options{})
	for range 2 {
		lease, err := cas.Acquire(ctx, store, "locks/job", cas.LeaseOptions{})
		if err != nil {
			fmt.Println(err)
			return
		}
		select {
		case <-lease.Lost():
			fmt.Println("stop at once")
		default:
			fmt.Println("token", lease.Fence())
		}
		if err := lease.Release(ctx); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// token 1
	// token 2
}

// Any number of processes call this; one of them leads until it ends, and then another.
func ExampleLead() {
	store := memstore.NewBucket(memstore.Options{})
	err := cas.Lead(context.Background(), store, "leader", cas.LeaseOptions{Name: "host 1"}, func(ctx context.Context, term uint64) error {
		fmt.Println("leads in term", term)
		return nil // resigns; to lead on, wait for ctx
	})
	fmt.Println(err)
	// Output:
	// leads in term 1
	// <nil>
}

// A job that is run again after a crash uploads its result once.
func ExampleOnce() {
	ctx := context.Background()
	store := memstore.NewBucket(memstore.Options{})
	for _, run := range []string{"first", "second"} {
		result := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("of the " + run + " run")), nil }
		info, err := cas.Once(ctx, store, "results/7", "job 7", result, objstore.PutOptions{ContentType: "text/plain"})
		fmt.Println(info.Size, err)
	}
	// Output:
	// 16 <nil>
	// 16 <nil>
}

// A file in a format of its own, changed by a function that works on files.
func ExampleUpdateFile() {
	store := memstore.NewBucket(memstore.Options{})
	info, err := cas.UpdateFile(context.Background(), store, "notes", "", func(_ context.Context, name string, now objstore.Info) error {
		fmt.Println("had", now.Size, "bytes")
		return os.WriteFile(name, []byte("a note"), 0o600)
	}, cas.Options{})
	fmt.Println(info.Size, err)
	// Output:
	// had 0 bytes
	// 6 <nil>
}

// sqlite runs statements on the database that is the object called key. Each call is one transaction of the store: the
// database is committed as a whole, or somebody else was faster and the statements run again on what that one left.
func sqlite(ctx context.Context, store cas.Store, key objstore.Key, statements string) (rows string, err error) {
	_, err = cas.UpdateFile(ctx, store, key, "", func(ctx context.Context, name string, _ objstore.Info) error {
		out, err := exec.CommandContext(ctx, "sqlite3", "-bail", name, statements).Output()
		rows = strings.TrimSpace(string(out))
		return err
	}, cas.Options{})
	return rows, err
}

// A SQLite database that is one object: small databases with few writers, wherever there is a store.
func ExampleUpdateFile_sqlite() {
	ctx := context.Background()
	store := memstore.NewBucket(memstore.Options{})
	for _, statements := range []string{
		"CREATE TABLE t(n INTEGER); INSERT INTO t VALUES (1);",
		"INSERT INTO t VALUES (2); SELECT sum(n) FROM t;",
	} {
		rows, err := sqlite(ctx, store, "db", statements)
		fmt.Println(rows, err)
	}
}

func TestSQLiteByCompareAndSwapLosesNoRow(t *testing.T) {
	if _, err := exec.LookPath("sqlite3"); err != nil {
		t.Skip("needs sqlite3: it is not installed")
	}
	store := memstore.NewBucket(memstore.Options{})
	if _, err := sqlite(t.Context(), store, "db", "CREATE TABLE t(n INTEGER);"); err != nil {
		t.Fatal(err)
	}
	const writers, rows = 3, 4
	ended := make(chan error)
	for range writers {
		go func() {
			var err error
			for range rows {
				_, failed := sqlite(t.Context(), store, "db", "INSERT INTO t VALUES (1);")
				err = errors.Join(err, failed)
			}
			ended <- err
		}()
	}
	for range writers {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	got, err := sqlite(t.Context(), store, "db", "SELECT count(*) FROM t; PRAGMA integrity_check;")
	if err != nil || got != fmt.Sprintf("%d\nok", writers*rows) {
		t.Errorf("%q, %v", got, err)
	}
}
