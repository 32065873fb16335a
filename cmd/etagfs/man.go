package main

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// manCommand is hidden: it is run once, when the program is installed.
func manCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:    "man DIR",
		Short:  "Write the manual pages into DIR",
		Hidden: true,
		Args:   arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			for _, page := range manualOf(readBuild(), c.Root(), mount8Command(t), umount8Command(t)) {
				if err := os.WriteFile(filepath.Join(args[0], page.name()), page.text(), 0o644); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// manualPage is the page of a command, made of what the command says of itself.
type manualPage struct {
	command *cobra.Command
	section int
	build   build
}

// manualOf is a page for each command of the program, and for each of the programs of mount(8).
func manualOf(b build, program *cobra.Command, system ...*cobra.Command) (pages []manualPage) {
	var add func(c *cobra.Command)
	add = func(c *cobra.Command) {
		if c.Hidden {
			return
		}
		pages = append(pages, manualPage{c, 1, b})
		for _, sub := range c.Commands() {
			add(sub)
		}
	}
	add(program)
	for _, c := range system {
		pages = append(pages, manualPage{c, 8, b})
	}
	return pages
}

func pageTitle(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// name is the name of the file.
func (p manualPage) name() string { return fmt.Sprintf("%s.%d", pageTitle(p.command), p.section) }

// text is the page in the language of man(7).
func (p manualPage) text() []byte {
	c, w := p.command, &roff{}
	c.InitDefaultHelpFlag()
	w.request("TH", strings.ToUpper(pageTitle(c)), fmt.Sprint(p.section), p.build.day(), "etagfs "+p.build.Version, "etagfs")
	w.request("SH", "NAME")
	w.line(pageTitle(c) + " - " + c.Short)
	w.request("SH", "SYNOPSIS")
	w.request("B", c.UseLine())
	w.request("SH", "DESCRIPTION")
	w.prose(cmp.Or(c.Long, c.Short+"."))
	w.commands(c)
	w.flags("OPTIONS", c.LocalFlags())
	w.flags("OPTIONS OF EVERY COMMAND", c.InheritedFlags())
	w.exits(p.section)
	w.request("SH", "SEE ALSO")
	w.line(strings.Join(p.seeAlso(), ", "))
	return w.out.Bytes()
}

// seeAlso are the pages above and below, and the one about exit codes.
func (p manualPage) seeAlso() (pages []string) {
	if p.section == 8 {
		return []string{"mount(8)", "umount(8)", "fstab(5)", "etagfs-mount(1)", "etagfs-unmount(1)"}
	}
	if parent := p.command.Parent(); parent != nil {
		pages = append(pages, pageTitle(parent)+"(1)")
	}
	for _, sub := range p.command.Commands() {
		if !sub.Hidden {
			pages = append(pages, pageTitle(sub)+"(1)")
		}
	}
	return append(pages, "etagfs-exit-codes(1)", "mount.etagfs(8)")
}

// roff writes a page.
type roff struct{ out bytes.Buffer }

// escaped is text that means itself.
func escaped(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func (w *roff) request(name string, args ...string) {
	w.out.WriteString("." + name)
	for _, arg := range args {
		w.out.WriteString(` "` + strings.ReplaceAll(escaped(arg), `"`, `""`) + `"`)
	}
	w.out.WriteByte('\n')
}

func (w *roff) line(text string) { w.out.WriteString(escaped(text) + "\n") }

// prose writes a help text. A line set off by two spaces that is followed by one set off by six is a term with what
// it means; other lines set off by spaces stay as they are.
func (w *roff) prose(text string) {
	lines := strings.Split(text, "\n")
	literal := false
	for i, line := range lines {
		setOff := strings.HasPrefix(line, "  ")
		meaning := setOff && !literal && indent(line) == 6
		term := indent(line) == 2 && i+1 < len(lines) && indent(lines[i+1]) == 6
		if stays := setOff && !meaning && !term; stays != literal {
			w.request(map[bool]string{true: "nf", false: "fi"}[stays])
			literal = stays
		}
		switch {
		case line == "":
			w.request("PP")
		case term:
			w.request("TP")
			w.request("B", strings.TrimSpace(line))
		case literal:
			w.line(line)
		default:
			w.line(strings.TrimSpace(line))
		}
	}
	if literal {
		w.request("fi")
	}
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

func (w *roff) commands(c *cobra.Command) {
	heading := false
	for _, sub := range c.Commands() {
		if sub.Hidden {
			continue
		}
		if !heading {
			w.request("SH", "COMMANDS")
			heading = true
		}
		w.request("TP")
		w.request("B", sub.UseLine())
		w.line(sub.Short)
	}
}

func (w *roff) flags(heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	w.request("SH", heading)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		term := "--" + f.Name
		if f.Shorthand != "" {
			term = "-" + f.Shorthand + ", " + term
		}
		if value != "" {
			term += " " + strings.ToUpper(value)
		}
		w.request("TP")
		w.request("B", term)
		w.line(usage + defaultOf(f))
	})
}

// defaultOf is what is added to a flag's usage, if that does not say it.
func defaultOf(f *pflag.Flag) string {
	switch {
	case strings.Contains(f.Usage, "default"), f.DefValue == "", f.DefValue == "false", f.DefValue == "[]":
		return ""
	}
	return " (default " + f.DefValue + ")"
}

func (w *roff) exits(section int) {
	w.request("SH", "EXIT STATUS")
	if section == 8 {
		w.line(fmt.Sprintf("0 if it is done, %d if the command line makes no sense, %d otherwise, as mount(8) has it.", mount8Usage, mount8Failed))
		return
	}
	for _, row := range exitCodeTexts {
		w.request("TP")
		w.request("B", fmt.Sprint(row.code))
		w.line(row.text)
	}
}
