package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// awaitServer waits until a server wrote where it listens, and puts that into a variable, and where
// its metrics are into another: served FILE NAME METRICS.
func awaitServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: served FILE NAME METRICS")
	}
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
	for {
		text, _ := os.ReadFile(ts.MkAbs(args[0]))
		var announced struct{ URL, Metrics string }
		if json.Unmarshal(text, &announced) == nil && announced.URL != "" {
			ts.Setenv(args[1], announced.URL)
			ts.Setenv(args[2], announced.Metrics)
			return
		}
		select {
		case <-ticks.C:
		case <-deadline:
			ts.Fatalf("waited for a server in vain; it said %q", text)
		}
	}
}

// request sends one, and prints the status and the body: http METHOD URL [BODY [HEADER...]].
func request(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: http METHOD URL [BODY [HEADER...]]")
	}
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(body))
	ts.Check(err)
	for _, line := range args[min(3, len(args)):] {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d\n%s\n", resp.StatusCode, text)
}
