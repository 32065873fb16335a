package mount

import (
	"strings"
	"testing"
	"time"

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
	got, err = ParseOptions("scrub-every=72h,scrub-rate=20M")
	if err != nil || got != (Options{ScrubEvery: ScrubEvery{Set: true, Value: 72 * time.Hour}, ScrubRateBytes: 20 << 20}) {
		t.Errorf("scrubs: %+v (%v)", got, err)
	}
	if got, err := ParseOptions("scrub-every=0"); err != nil || !got.ScrubEvery.Set || got.ScrubEvery.Value != 0 {
		t.Errorf("no scrubs: %+v (%v)", got, err)
	}
	if got, err := ParseOptions(""); err != nil || got != (Options{}) {
		t.Errorf("no options: %+v (%v)", got, err)
	}
}

func TestWrongOptionsAreNamed(t *testing.T) {
	for word, says := range map[string]string{
		"nonsense":            "not known",
		"ro=1":                "takes no value",
		"uid":                 "needs a value",
		"uid=root":            "not a user id",
		"umask=999":           "octal",
		"umask=1777":          "octal",
		"durability=maybe":    "none of fsync, close",
		"control=a/b":         "not a name",
		"bucket=":             "names no bucket",
		"scrub-every=7":       "is no time",
		"scrub-every=-1h":     "is no time",
		"scrub-rate=0":        "never",
		"memory=63M":          "too little",
		"memory=much":         "no number of bytes",
		"scrub-rate=1.5M":     "no number of bytes",
		"scrub-rate=9999999T": "no number of bytes",
	} {
		_, err := ParseOptions("rw," + word)
		if err == nil || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want a sentence with %q", word, err, says)
		}
	}
}

func TestGuardOfProcessesNeedsHandlesOfTheirOwn(t *testing.T) {
	if o, err := ParseOptions("guard=process"); err != nil || o.FS.Guard != fs.GuardProcess {
		t.Errorf("guard=process: %+v, %v", o.FS, err)
	}
	_, err := ParseOptions("guard=process,isolation=mount")
	if err == nil || !strings.Contains(err.Error(), "needs isolation=handle") {
		t.Errorf("both: %v", err)
	}
}

func TestHelpNamesEveryOptionAndValue(t *testing.T) {
	help := OptionsHelp()
	for _, o := range options() {
		if len(o.choices) > 1 && !strings.Contains(strings.Join(strings.Fields(help), " "), "(default "+o.choices[0].value+")") {
			t.Errorf("the help does not say the default of %s", o.name)
		}
		if o.help == "" || !strings.Contains(help, "  "+o.name) {
			t.Errorf("the help says nothing of %s", o.name)
		}
		for _, c := range o.choices {
			if !strings.Contains(help, c.value) {
				t.Errorf("the help says nothing of %s=%s", o.name, c.value)
			}
		}
	}
}

func TestOptionWordsAreAccepted(t *testing.T) {
	named := make(map[string]bool)
	for _, word := range OptionWords() {
		if _, any := strings.CutSuffix(word, "="); any {
			word += "7"
		}
		if strings.HasSuffix(word, "-every=7") { // a time
			word += "h"
		}
		if word == "memory=7" {
			word += "G"
		}
		if _, err := ParseOptions(word); err != nil {
			t.Error(err)
		}
		name, _, _ := strings.Cut(word, "=")
		named[name] = true
	}
	for _, o := range options() {
		if !named[o.name] {
			t.Errorf("%s is not among them", o.name)
		}
	}
}
