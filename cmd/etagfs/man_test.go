package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/etagfs/etagfs/mount"
)

// plain is the text of a page without what means something to roff.
func plain(page manualPage) string {
	return strings.NewReplacer(`\-`, "-", `\e`, `\`, `\&`, "", `""`, `"`).Replace(string(page.text()))
}

func testManual(t *testing.T) []manualPage {
	terminal := &terminal{}
	root := rootCommand(terminal)
	root.InitDefaultCompletionCmd()
	return manualOf(build{Version: "v1.2.3", Date: "2026-01-02T03:04:05Z"}, root, mount8Command(terminal), umount8Command(terminal))
}

// What is in a command's help is in its page: every flag with its default, every command below it, every exit code.
func TestManualSaysWhatTheHelpSays(t *testing.T) {
	names := make(map[string]bool)
	for _, page := range testManual(t) {
		text, c := plain(page), page.command
		names[page.name()] = true
		says := func(what string) {
			if !strings.Contains(text, what) {
				t.Errorf("%s says nothing of %q", page.name(), what)
			}
		}
		says(c.Short)
		says(`"2026-01-02" "etagfs v1.2.3"`)
		flag := func(f *pflag.Flag) {
			if !f.Hidden {
				says("--" + f.Name)
				says(defaultOf(f))
			}
		}
		c.LocalFlags().VisitAll(flag)
		c.InheritedFlags().VisitAll(flag)
		for _, sub := range c.Commands() {
			if !sub.Hidden {
				says(pageTitle(sub) + "(1)")
			}
		}
		for word := range strings.FieldsSeq(c.Long) {
			says(word)
		}
		if page.section == 1 {
			for _, row := range exitCodeTexts {
				says(row.text)
			}
		}
	}
	for _, name := range []string{"etagfs.1", "etagfs-mount.1", "etagfs-conflicts-list.1", "etagfs-serve.1", "mount.etagfs.8", "umount.etagfs.8"} {
		if !names[name] {
			t.Errorf("there is no page %s", name)
		}
	}
}

func TestManualOfMountNamesEveryOption(t *testing.T) {
	for _, page := range testManual(t) {
		if name := page.name(); name != "etagfs-mount.1" && name != "mount.etagfs.8" {
			continue
		}
		for _, word := range mount.OptionWords() {
			name, value, _ := strings.Cut(word, "=")
			if text := plain(page); !strings.Contains(text, "\n.B \""+name) || !strings.Contains(text, value) {
				t.Errorf("%s does not list %s", page.name(), word)
			}
		}
	}
}

func TestManualIsGoodRoff(t *testing.T) {
	groff, err := exec.LookPath("groff")
	if err != nil {
		t.Skipf("needs groff: %v", err)
	}
	var all bytes.Buffer
	for _, page := range testManual(t) {
		all.Write(page.text())
	}
	cmd := exec.Command(groff, "-man", "-ww", "-z", "-Tutf8")
	cmd.Stdin = &all
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
