package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// askFlag marks the process that waits for a mount.
const askFlag = "ask"

func healthCommand(t *terminal) *cobra.Command {
	var timeout time.Duration
	var ask bool
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
			if ask {
				return statMount(args[0])
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
	c.Flags().BoolVar(&ask, askFlag, false, "")
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
		return mountAnswers(ctx, what)
	}
	u, err := url.Parse(what)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return usageErrorf("%s is no http(s)://HOST:PORT of etagfs serve", what)
	}
	return ready(ctx, http.DefaultClient, &url.URL{Scheme: u.Scheme, Host: u.Host, Path: s3server.PathReady})
}

// statMount waits for the answer of a mount, which may be gone since it was looked for: the directory below it does not count.
func statMount(point string) error {
	var is unix.Statfs_t
	if err := unix.Statfs(point, &is); err != nil {
		return err
	}
	if is.Type != unix.FUSE_SUPER_MAGIC {
		return errors.New("it is being taken away")
	}
	why, err := refusing(point)
	if err == nil && why != "" {
		err = fmt.Errorf("its store takes no more writes until it is unmounted and opened again: %s", why)
	}
	return err
}

// mountAnswers fails unless a mount's daemon and store answer before ctx ends. Who asks is another process: it cannot end, not
// even by SIGKILL, before a daemon answers that has read the question, and is left behind then.
func mountAnswers(ctx context.Context, dir string) error {
	point, source, err := mount.Served(dir)
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	asking := exec.Command(program, "health", "--"+askFlag, "--", point)
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
	case <-ctx.Done():
		err = fmt.Errorf("no answer: %w", ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("the mount of %s at %s: %w", source, point, err)
	}
	return nil
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
