package s3clients_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What AWS was recorded to answer, by the names of the recordings in LocalStack's tests.
func TestRecordedConditionsOfAWS(t *testing.T) {
	serve(t).play(t, filepath.Join("testdata", "recorded.txt"))
}

// The conditions of ceph/s3-tests, which go beyond AWS: ETags in If-None-Match and "*" in If-Match of writes, deletes by
// size and time, and 204 for what is missing.
func TestConditionsOfCeph(t *testing.T) {
	serve(t, "--conditions", "extended").play(t, filepath.Join("testdata", "ceph.txt"))
}

// ceph's test_atomic_dual_conditional_write and test_atomic_dual_write: while one is still writing, another writes and is done.
// A condition that held when the first began no longer does at its end; without one the
// last to end wins. Whichever, the object is the bytes of one of them.
func TestSlowWriterIsJudgedAtItsEnd(t *testing.T) {
	for _, size := range []int{1 << 20, 4 << 20, 8 << 20} {
		slow, quick := strings.Repeat("C", size), strings.Repeat("B", size)
		for _, r := range []struct {
			condition string
			status    int
			left      string
		}{{"If-Match", 412, quick}, {"", 200, slow}} {
			t.Run(fmt.Sprint(size, r.condition), func(t *testing.T) {
				s := serve(t)
				e := s.do("PUT", "/main/k", strings.Repeat("A", size)).ETag
				var condition []string
				if r.condition != "" {
					condition = []string{r.condition + ": " + e}
				}
				req := s.request("PUT", "/main/k", slow, hexDigest(slow), time.Now(), condition...)
				req.Header.Set("Expect", "100-continue") // tells that the first has begun
				conn := must(net.Dial("tcp", s.addr()))(t)
				defer conn.Close()
				must(fmt.Fprint(conn, head(req, size)))(t)
				answers := bufio.NewReader(conn)
				if line := must(answers.ReadString('\n'))(t); line != "HTTP/1.1 100 Continue\r\n" || must(answers.ReadString('\n'))(t) != "\r\n" {
					t.Fatalf("%q", line)
				}
				must(fmt.Fprint(conn, slow[:size/2]))(t)
				if a := s.do("PUT", "/main/k", quick, condition...); a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				must(fmt.Fprint(conn, slow[size/2:]))(t)
				a := answerOf(t, must(http.ReadResponse(answers, req))(t))
				if a.status != r.status {
					t.Errorf("%d %s", a.status, a.body)
				}
				if got := s.do("GET", "/main/k", "").body; got != r.left {
					t.Errorf("%d bytes, %.1q...", len(got), got)
				}
			})
		}
	}
}
