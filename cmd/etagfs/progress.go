package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"
)

// lineEvery is how often a line of progress is printed where there is no terminal.
const lineEvery = 10 * time.Second

// meter shows people how far a job is: with a bar on a terminal, with a line now and then elsewhere.
type meter struct {
	what string
	to   io.Writer
	bar  *progressbar.ProgressBar // nil: lines

	begun time.Time
	last  time.Time // of a line
}

// newMeter is a meter of t; nil if what it prints is for programs.
func (t *terminal) newMeter(what string) *meter {
	if t.json {
		return nil
	}
	now := time.Now()
	m := &meter{what: what, to: t.err, begun: now, last: now}
	if isTerminal(t.err) {
		m.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(t.err), progressbar.OptionSetDescription(what),
			progressbar.OptionShowBytes(true), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(progressEvery),
			progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
	return m
}

// isTerminal reports whether people see at once what is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// show shows p. What cannot be shown is not missed.
func (m *meter) show(p progress) {
	if m == nil {
		return
	}
	if m.bar != nil {
		m.bar.ChangeMax64(max(p.TotalBytes, 1))
		_ = m.bar.Set64(p.DoneBytes)
		return
	}
	if now := time.Now(); now.Sub(m.last) >= lineEvery {
		m.last = now
		fmt.Fprintln(m.to, m.line(p, now))
	}
}

// line is p in words.
func (m *meter) line(p progress, now time.Time) string {
	passed := now.Sub(m.begun).Seconds()
	rate := float64(p.DoneBytes) / passed
	text := fmt.Sprintf("%s: %s of %s, %s/s", m.what, bytesText(p.DoneBytes), bytesText(p.TotalBytes), bytesText(int64(rate)))
	if rate > 0 && p.DoneBytes < p.TotalBytes {
		left := time.Duration(float64(p.TotalBytes-p.DoneBytes) / rate * float64(time.Second))
		text += ", " + left.Round(time.Second).String() + " left"
	}
	return text
}

// end takes the bar away.
func (m *meter) end() {
	if m != nil && m.bar != nil {
		_ = m.bar.Clear()
	}
}

// bytesText is n in units that people read.
func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/step, 0
	for value >= step && unit < 5 {
		value, unit = value/step, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
