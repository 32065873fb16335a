package mount

import (
	"strings"
	"testing"

	"github.com/etagfs/etagfs/fs"
)

func TestOptionsAreRead(t *testing.T) {
	got, err := ParseOptions("ro,uid=1000,gid=100,umask=027,noexec,nosuid,nodev,allow_other,bucket=b,durability=close,append=strict,follow=none,control=.kept,integrity=strict,isolation=handle,guard=open")
	if err != nil {
		t.Fatal(err)
	}
	want := Options{
		FS: fs.Options{
			Append: fs.AppendStrict, Follow: fs.FollowNone, Durability: fs.DurableClose, Control: ".kept", ReadOnly: true,
			UID: fs.Override{Set: true, Value: 1000}, GID: fs.Override{Set: true, Value: 100}, Umask: fs.Override{Set: true, Value: 0o27},
		},
		Bucket: "b", NoExec: true, NoSUID: true, NoDev: true, AllowOther: true, Strict: true,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got, err := ParseOptions("isolation=mount"); err != nil || got.FS.Isolation != fs.IsolateMount {
		t.Errorf("isolation=mount: %+v (%v)", got, err)
	}
	if got, err := ParseOptions(""); err != nil || got != (Options{}) {
		t.Errorf("no options: %+v (%v)", got, err)
	}
}

func TestWrongOptionsAreNamed(t *testing.T) {
	for word, says := range map[string]string{
		"nonsense":         "not known",
		"ro=1":             "takes no value",
		"uid":              "needs a value",
		"uid=root":         "not a user id",
		"umask=999":        "octal",
		"umask=1777":       "octal",
		"durability=maybe": "none of fsync, close",
		"guard=process":    "not available",
		"control=a/b":      "not a name",
		"bucket=":          "names no bucket",
	} {
		_, err := ParseOptions("rw," + word)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a sentence with %q", word, err, says)
		}
	}
}

func TestHelpNamesEveryOptionAndValue(t *testing.T) {
	help := OptionsHelp()
	for _, o := range options() {
		if o.help == "" || !strings.Contains(help, "  "+o.name) {
			t.Errorf("the help says nothing of %s", o.name)
		}
		for _, c := range o.choices {
			if c.later == "" && !strings.Contains(help, c.value) {
				t.Errorf("the help says nothing of %s=%s", o.name, c.value)
			}
		}
	}
}
