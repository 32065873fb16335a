package s3_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// program is a running etagfs serve.
type program struct {
	cmd *exec.Cmd
	url string
}

func start(t *testing.T, store string) *program {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), "serve", store, "--json", "--listen", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), "ETAGFS_ACCESS_KEY=AKIDROOT", "ETAGFS_SECRET_KEY=root-secret")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	var announced struct{ URL string }
	if err != nil || json.Unmarshal([]byte(line), &announced) != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return &program{cmd, announced.URL}
}

func (p *program) client() *s3.Client {
	return clientOf(p.url, "AKIDROOT", "root-secret", http.DefaultClient)
}

// C8: what a server answered 200 survives a crash of the server, and so do its conditions.
func TestWhatTheServerAcknowledgedSurvivesItsCrash(t *testing.T) {
	mounttest.Need(t, "binary")
	ctx, store := t.Context(), t.TempDir()
	var last *string
	for round := range 4 {
		p := start(t, store)
		c := p.client()
		for i := range 10 {
			value := fmt.Sprintf("%d.%d", round, i)
			in := &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("counter"), Body: strings.NewReader(value), IfMatch: last}
			if last == nil {
				in.IfNoneMatch = aws.String("*")
			}
			out, err := c.PutObject(ctx, in)
			if err != nil {
				t.Fatalf("%s: %v", value, err)
			}
			stale, err := c.PutObject(ctx, in)
			refused(t, stale, err, "PreconditionFailed")
			last = out.ETag
		}
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait() // killed
	}
	if got := read(t, ctx, start(t, store).client(), "counter"); got != "3.9" {
		t.Errorf("%q", got)
	}
}
