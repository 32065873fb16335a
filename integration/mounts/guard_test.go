package mounts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// editor is a program that changes FILE to say NAME where it says first. When it has read that it writes to SAID, and it goes on when it
// has read from GO: both are pipes.
type editor struct {
	command []string
	answer  string // to its question whether to overwrite what others have changed
}

func editors() map[string]editor {
	const pause = "echo read > SAID; cat GO > /dev/null"
	vim := func(mode, answer string) editor {
		return editor{[]string{"vim", "-u", "NONE", "-i", "NONE", "-n", "-es", "FILE",
			"-c", "set nomore backup writebackup backupskip= backupcopy=" + mode,
			"-c", "call writefile(['read'], 'SAID')", "-c", "call readfile('GO')",
			"-c", "%s/first/NAME/", "-c", "write!", "-c", "if &modified | cquit 1 | endif", "-c", "quit"}, answer}
	}
	perl := func(write string) editor {
		return editor{[]string{"perl", "-e", `$f = shift; open F, $f or die; $_ = <F>; close F; system "` + pause + `"; s/first/NAME/; ` + write, "FILE"}, ""}
	}
	return map[string]editor{
		"sed -i":               {[]string{"sed", "-i", "-e", "1e " + pause, "-e", "s/first/NAME/", "FILE"}, ""},
		"vim, backupcopy=no":   vim("no", "y"),
		"vim, backupcopy=auto": vim("auto", "y"),
		// Vim reads the file again for this backup, and so has read what it overwrites if it is told to.
		"vim, backupcopy=yes":    vim("yes", "n"),
		"one that replaces":      perl(`open G, ">", "$f.$$" or die; print G; close G or die; rename "$f.$$", $f or die "$!\n"`),
		"one that empties":       perl(`open G, ">", $f or die "$!\n"; print G; close G or die "$!\n"`),
		"one that cuts":          perl(`use Fcntl; sysopen G, $f, O_WRONLY or die "$!\n"; truncate G, 0 or die "$!\n"; print G; close G or die "$!\n"`),
		"one that moves aside":   perl(`rename $f, "$f~" or die "$!\n"; open G, ">", $f or die "$!\n"; print G; close G or die "$!\n"`),
		"one that removes first": perl(`unlink $f or die "$!\n"; open G, ">", $f or die "$!\n"; print G; close G or die "$!\n"`),
	}
}

// editing is an editor that has read its file.
type editing struct {
	*exec.Cmd
	t       *testing.T
	release string
	said    strings.Builder
}

// ends lets it write.
func (p *editing) ends() error {
	p.t.Helper()
	if err := os.WriteFile(p.release, []byte("go\n"), 0); err != nil {
		p.t.Fatal(err)
	}
	return p.Wait()
}

// edit starts an editor and returns when it has read.
func edit(t *testing.T, e editor, file, name string) *editing {
	t.Helper()
	mounttest.Need(t, e.command[0])
	said, release := filepath.Join(t.TempDir(), "said"), filepath.Join(t.TempDir(), "go")
	for _, pipe := range []string{said, release} {
		if err := unix.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	words := strings.NewReplacer("FILE", file, "NAME", name, "SAID", said, "GO", release)
	args := make([]string, len(e.command))
	for i, arg := range e.command {
		args[i] = words.Replace(arg)
	}
	p := &editing{Cmd: exec.Command(args[0], args[1:]...), t: t, release: release}
	p.Stdin, p.Stdout, p.Stderr = strings.NewReader(e.answer+"\n"), &p.said, &p.said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(said); err != nil {
		t.Fatal(err)
	}
	return p
}

// needAllProcesses skips where guard=process is refused.
func needAllProcesses(t *testing.T) {
	if in, err := os.Readlink("/proc/self/ns/pid"); err != nil || in != "pid:[4026531836]" {
		t.Skip("needs the first pid namespace")
	}
}

// Two hosts edit one file with the same program: who writes second hears of it, and the first one's work stays.
func TestSecondOfTwoEditorsIsRefused(t *testing.T) {
	mounttest.Need(t, "binary")
	needAllProcesses(t)
	const options = "guard=process"
	here := mounttest.Start(t, mounttest.Options{Mount: options})
	there := mounttest.Start(t, mounttest.Options{Mount: options, Source: here.Store})
	number := 0
	for program, editor := range editors() {
		number++
		name := fmt.Sprint("f", number)
		t.Run(program, func(t *testing.T) {
			put(t, here.Path(name), "first\n")
			one, two := edit(t, editor, here.Path(name), "one"), edit(t, editor, there.Path(name), "two")
			if err := one.ends(); err != nil {
				t.Fatalf("the first to write: %v: %s", err, &one.said)
			}
			err := two.ends()
			t.Logf("the second to write: %v: %s", err, strings.TrimSpace(two.said.String()))
			if err == nil {
				t.Error("the second to write heard nothing")
			}
			for _, m := range []*mounttest.Mount{here, there} {
				if text, err := os.ReadFile(m.Path(name)); string(text) != "one\n" {
					t.Errorf("the file is %q, %v", text, err)
				}
			}
			put(t, here.Path(name), "first\n")
			three := edit(t, editor, there.Path(name), "three")
			if err := three.ends(); err != nil {
				t.Errorf("one who begins afterwards: %v: %s", err, &three.said)
			}
		})
	}
}
