package programs

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// connections are the processes that use a database at the same time.
const connections = 8

// transactions is how many each of them makes: TRANSACTIONS, or 1,250 in the long form, 10,000 in all.
func transactions(t *testing.T) int {
	t.Helper()
	if given := os.Getenv("TRANSACTIONS"); given != "" {
		count, err := strconv.Atoi(given)
		if err != nil {
			t.Fatal(err)
		}
		return count
	}
	if os.Getenv("ETAGFS_LONG") != "" {
		return 10000 / connections
	}
	return 4
}

// sqlite runs statements in a process of its own.
func sqlite(path, statements string) (said string, err error) {
	cmd := exec.Command("sqlite3", "-bail", "-cmd", ".timeout 240000", path)
	cmd.Stdin = strings.NewReader(statements)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(wrong.Bytes()))
	}
	return out.String(), err
}

// prepare makes a database of one account per connection.
func prepare(t *testing.T, path, journal string) {
	t.Helper()
	rows := make([]string, connections)
	for i := range rows {
		rows[i] = fmt.Sprintf("(%d, 0)", i)
	}
	if _, err := sqlite(path, "pragma journal_mode="+journal+"; create table t(id integer primary key, n int); insert into t values "+strings.Join(rows, ", ")+";"); err != nil {
		t.Fatal(err)
	}
}

// transact has each connection add one to its account again and again, on one of the paths, and returns how often each was
// told that it did and what ended those that failed.
func transact(t *testing.T, paths []string, count int) (done [connections]int, errs [connections]error) {
	t.Helper()
	began := time.Now()
	ends := make(chan int)
	for i := range connections {
		go func() {
			said, err := sqlite(paths[i%len(paths)], strings.Repeat(fmt.Sprintf("begin immediate; update t set n = n + 1 where id = %d; commit; select 'done';\n", i), count))
			done[i], errs[i] = strings.Count(said, "done"), err
			ends <- i
		}()
	}
	for range connections {
		<-ends
	}
	t.Logf("%d transactions of %d processes, %.0f per second", connections*count, connections, float64(connections*count)/time.Since(began).Seconds())
	return done, errs
}

// sums is what the database says of itself.
func sums(t *testing.T, path string) string {
	t.Helper()
	said, err := sqlite(path, "pragma integrity_check; select sum(n), min(n), max(n) from t;")
	if err != nil {
		t.Error(err)
	}
	return said
}

// Eight processes lose no transaction: with a rollback journal in both isolations and across two mounts of a store, with a
// write-ahead log where processes of a mount share memory.
func TestConnectionsOfSQLiteLoseNoTransaction(t *testing.T) {
	mounttest.Need(t, "sqlite3")
	t.Parallel()
	for _, c := range []struct {
		isolation, journal string
		mounts             int
	}{
		{"handle", "delete", 1}, {"mount", "delete", 1}, {"handle", "delete", 2}, {"mount", "delete", 2}, {"mount", "wal", 1},
	} {
		t.Run(fmt.Sprintf("isolation=%s, %s, %d mounts", c.isolation, c.journal, c.mounts), func(t *testing.T) {
			options := mounttest.Options{Mount: "isolation=" + c.isolation, Deadline: time.Hour}
			first := mounttest.Start(t, options)
			paths := []string{first.Path("db")}
			if c.mounts == 2 {
				options.Source = first.Store
				paths = append(paths, mounttest.Start(t, options).Path("db"))
			}
			prepare(t, paths[0], c.journal)
			count := transactions(t)
			_, errs := transact(t, paths, count)
			for i, err := range errs {
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
				}
			}
			want := fmt.Sprintf("ok\n%d|%d|%d\n", connections*count, count, count)
			for _, path := range paths {
				if got := sums(t, path); got != want {
					t.Errorf("%s says %q, want %q", path, got, want)
				}
			}
		})
	}
}

// A write-ahead log takes memory that processes share. Where they do not, connections may be told of errors, but the database is sound.
func TestWriteAheadLogOfSeparateHandlesIsNeverDamaged(t *testing.T) {
	mounttest.Need(t, "sqlite3")
	t.Parallel()
	m := mounttest.Start(t, mounttest.Options{Deadline: time.Hour})
	path := m.Path("db")
	prepare(t, path, "wal")
	done, errs := transact(t, []string{path}, transactions(t))
	failed := 0
	for _, err := range errs {
		if err != nil {
			failed++
		}
	}
	t.Logf("done are %v, %d connections failed, the first with %v; it says %s", done, failed, errs[0], sums(t, path))
	if said, _, _ := strings.Cut(sums(t, path), "\n"); said != "ok" {
		t.Errorf("the database is damaged: %s", said)
	}
}
