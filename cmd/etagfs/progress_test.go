package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pseudoTerminal is a terminal, and what shows it.
func pseudoTerminal(t *testing.T) (screen, line *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudo terminals: %v", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs /dev/pts: %v", err)
	}
	t.Cleanup(func() { line.Close() })
	if err := unix.IoctlSetWinsize(int(line.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	return screen, line
}

// On a terminal people see a bar with how far it is, how long that took and how long the rest will take, which goes away in the end.
func TestProgressIsABarOnATerminal(t *testing.T) {
	screen, line := pseudoTerminal(t)
	m := (&terminal{err: line}).newMeter("backup")
	bar := regexp.MustCompile(`backup +50% .*537 MB/1\.1 GB.*\[[0-9hms]+:[0-9hms]+\]`)
	half := make(chan string)
	go func() {
		var shown strings.Builder
		p := make([]byte, 4096)
		for !bar.MatchString(shown.String()) {
			n, err := screen.Read(p)
			if err != nil {
				break
			}
			shown.Write(p[:n])
		}
		half <- shown.String()
	}()
	ticks := time.NewTicker(progressEvery)
	defer ticks.Stop()
	for done := int64(1 << 29); ; done++ { // what comes too soon after another is not shown
		m.show(progress{Done: done, Total: 1 << 30})
		select {
		case text := <-half:
			if !bar.MatchString(text) || strings.Contains(text, "\n") {
				t.Errorf("shown: %q", text)
			}
			m.end()
			return
		case <-ticks.C:
		}
	}
}

// Elsewhere it is a line now and then, with how long it will take; and nothing for programs.
func TestProgressIsLinesOffATerminal(t *testing.T) {
	var out bytes.Buffer
	m := (&terminal{err: &out}).newMeter("backup")
	half := progress{Done: 1 << 19, Total: 1 << 20}
	m.show(half)
	if out.Len() > 0 {
		t.Errorf("said at once: %q", out.String())
	}
	m.begun, m.last = m.begun.Add(-lineEvery), m.last.Add(-lineEvery)
	m.show(half)
	m.show(half)
	if got, want := out.String(), "backup: 512.0 KiB of 1.0 MiB, "; !strings.HasPrefix(got, want) || strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, " left\n") {
		t.Errorf("said: %q", got)
	}
	if got, want := m.line(half, m.begun.Add(8*time.Second)), "backup: 512.0 KiB of 1.0 MiB, 64.0 KiB/s, 8s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	m.enter(progress{Step: "garbage", Count: true})
	if got, want := m.line(progress{Done: 512, Total: 4096, Count: true}, m.begun.Add(8*time.Second)), "backup garbage: 512 of 4096, 64/s, 56s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if (&terminal{err: &out, json: true}).newMeter("backup") != nil {
		t.Error("a program is shown progress")
	}
}
