package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// askFlag marks the process that waits for a mount, and says what it waits for.
const askFlag = "ask"

// What is asked of a mount.
const (
	askedAnswer = "answer" // does its store answer?
	askedHealth = "health" // and does it take writes?
)

func healthCommand(t *terminal) *cobra.Command {
	var timeout time.Duration
	var ask string
	c := &cobra.Command{
		Use:   "health URL|DIR",
		Short: "Ask a server or a mount whether it can be used",
		Long: `Ask etagfs serve at http(s)://HOST:PORT whether it takes requests, or the mount at
DIR whether its daemon and its store answer. A store that has stopped taking writes,
because its disk failed, is not healthy: it has to be opened again. It is meant for the health checks of
containers, which may have no other program. It changes nothing and needs no keys.

The exit code is 0 if it can be used.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if ask != "" {
				return askHere(args[0], ask)
			}
			if timeout <= 0 {
				return usageErrorf("--timeout %s: there is no such wait", timeout)
			}
			ctx, cancel := context.WithTimeout(c.Context(), timeout)
			defer cancel()
			if err := healthy(ctx, args[0]); err != nil || !t.json {
				return err
			}
			return t.printJSON(struct {
				Healthy string `json:"healthy"`
			}{args[0]})
		},
	}
	c.Flags().DurationVar(&timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	c.Flags().StringVar(&ask, askFlag, "", "")
	if err := c.Flags().MarkHidden(askFlag); err != nil {
		panic(err) // the flag was defined one line above
	}
	return c
}

// healthy fails unless a server or a mount can be used.
func healthy(ctx context.Context, what string) error {
	if !strings.Contains(what, "://") {
		if what == "" {
			return noMountPoint()
		}
		return mountHealthy(ctx, what)
	}
	u, err := url.Parse(what)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageErrorf("%s is no http(s)://HOST:PORT of etagfs serve", what)
	}
	return ready(ctx, http.DefaultClient, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: s3server.PathReady})
}

// askHere waits for the answer of a mount, which may be gone since it was looked for: the directory below it does not count.
func askHere(point, asked string) error {
	var is unix.Statfs_t
	if err := unix.Statfs(point, &is); err != nil {
		return cmp.Or(unanswering(point, err), err)
	}
	if is.Type != unix.FUSE_SUPER_MAGIC {
		return errors.New("it is being taken away")
	}
	// Only the store knows that nothing has this name.
	if _, err := os.Lstat(filepath.Join(point, ".etagfs-probe-"+rand.Text())); !errors.Is(err, iofs.ErrNotExist) && !errors.Is(err, iofs.ErrPermission) {
		return cmp.Or(unanswering(point, err), err)
	}
	if asked != askedHealth {
		return nil
	}
	why, err := refusing(point)
	if err == nil && why != "" {
		err = fmt.Errorf("its store takes no more writes until it is unmounted and opened again: %s", why)
	}
	return err
}

// mountHealthy fails unless a mount's daemon and store answer before ctx ends, and writes are taken.
func mountHealthy(ctx context.Context, dir string) error {
	point, source, err := mount.Served(dir)
	if err != nil {
		return err
	}
	began := time.Now()
	if err := askApart(ctx, point, askedHealth); err != nil {
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = noAnswer(time.Since(began))
		}
		return fmt.Errorf("the mount of %s at %s: %w", source, point, err)
	}
	return nil
}

// askApart asks the mount at point in another process: who asks cannot end, not even by SIGKILL, before a daemon answers that has
// read the question, and is left behind if ctx ends before.
func askApart(ctx context.Context, point, asked string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	asking := exec.Command(program, "health", "--"+askFlag, asked, "--", point)
	answer := make(chan error, 1)
	go func() {
		said, err := asking.CombinedOutput()
		if err != nil && len(said) > 0 {
			err = errors.New(strings.TrimPrefix(strings.TrimSpace(string(said)), "etagfs: "))
		}
		answer <- err
	}()
	select {
	case err = <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func noAnswer(in time.Duration) error {
	return fmt.Errorf("no answer within %s", in.Round(100*time.Millisecond))
}

// ready fails unless a server says that it takes requests.
func ready(ctx context.Context, client *http.Client, path *url.URL) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, path.String(), nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(request)
	if err != nil {
		return err
	}
	const wordsMax = 200
	words, err := io.ReadAll(io.LimitReader(answer.Body, wordsMax))
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	switch why, text := strings.CutPrefix(strings.TrimSpace(string(words)), "not ready: "); {
	case answer.StatusCode == http.StatusOK:
		return nil
	case text:
		return fmt.Errorf("%s: %s: %s", path, answer.Status, readable(why))
	default:
		return fmt.Errorf("%s: %s", path, answer.Status)
	}
}
