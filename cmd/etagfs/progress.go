package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sys/unix"
)

// lineEvery is how often a line of progress is printed where there is no terminal.
const lineEvery = 10 * time.Second

// meter shows people how far a job is: with a bar on a terminal, with a line now and then elsewhere. Each step of the job is shown anew.
type meter struct {
	what string
	to   io.Writer
	bars bool

	step  string
	bar   *progressbar.ProgressBar // of the step; nil: it has none, or none yet
	begun time.Time                // the step
	last  time.Time                // of a line
}

// newMeter is a meter of t; nil if what it prints is for programs.
func (t *terminal) newMeter(what string) *meter {
	if t.json {
		return nil
	}
	now := time.Now()
	return &meter{what: what, to: t.err, bars: isTerminal(t.err), begun: now, last: now}
}

// enter begins a step of the job.
func (m *meter) enter(p progress) {
	m.end()
	m.step, m.begun = p.Step, time.Now()
	if m.bars {
		m.bar = progressbar.NewOptions64(1, progressbar.OptionSetWriter(m.to), progressbar.OptionSetDescription(m.title()),
			progressbar.OptionShowBytes(!p.Count), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionThrottle(progressEvery), progressbar.OptionClearOnFinish(), progressbar.OptionFullWidth())
	}
}

// title is the job, and the step it is in.
func (m *meter) title() string {
	if m.step == "" {
		return m.what
	}
	return m.what + " " + m.step
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
	if m.step != p.Step || m.bars && m.bar == nil {
		m.enter(p)
	}
	if m.bar != nil {
		m.bar.ChangeMax64(max(p.Total, 1))
		_ = m.bar.Set64(p.Done)
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
	rate, text := float64(p.Done)/passed, bytesText
	if p.Count {
		text = func(n int64) string { return strconv.FormatInt(n, 10) }
	}
	line := fmt.Sprintf("%s: %s of %s, %s/s", m.title(), text(p.Done), text(p.Total), text(int64(rate)))
	if rate > 0 && p.Done < p.Total {
		left := time.Duration(float64(p.Total-p.Done) / rate * float64(time.Second))
		line += ", " + left.Round(time.Second).String() + " left"
	}
	return line
}

// end takes the bar away, until there is more to show.
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
