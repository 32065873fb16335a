package s3server_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

// described is what a listing that is to describe says of each key and common prefix; "-" is nothing.
func (b *bench) described(headers ...string) map[string]string {
	b.t.Helper()
	all := make(map[string]string)
	body := b.must("GET", "/box?list-type=2&delimiter=/", "", headers...).body
	for _, m := range regexp.MustCompile(`<(?:Contents><Key|CommonPrefixes><Prefix)>([^<]*)<(.*?)</(?:Contents|CommonPrefixes)>`).FindAllStringSubmatch(body, -1) {
		_, text, ok := strings.Cut(m[2], "<EtagfsDescription>")
		all[m[1]] = "-"
		if ok {
			all[m[1]], _, _ = strings.Cut(text, "<")
		}
	}
	return all
}

func TestListingsDescribeToWhoMayRead(t *testing.T) {
	b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: everything()}})
	b.must("PUT", "/box/k", "body", "x-amz-meta-color: red & <blue>")
	b.must("PUT", "/box/dir/", "", "x-amz-meta-mode: 16877")
	b.must("PUT", "/box/implied/k", "")
	for key, text := range b.described() {
		if text != "-" {
			t.Errorf("nobody asked, and %s is described: %s", key, text)
		}
	}
	all := b.described("x-etagfs-describe: true")
	for key, part := range map[string]string{"k": "x-amz-meta-color=red+%26+%3Cblue%3E", "dir/": "x-amz-meta-mode=16877"} {
		if !strings.Contains(all[key], part) || !strings.Contains(all[key], "Content-Length=") {
			t.Errorf("%s is described as %s", key, all[key])
		}
	}
	if len(all) != 3 || all["implied/"] != "" {
		t.Errorf("%q", all)
	}
	b.putPolicy(`{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::box/k", "arn:aws:s3:::box/implied/"]}`)
	refused := b.withUsers(s3server.Users{Anonymous: everything()}) // the first has read that there was no policy
	if all = refused.described("x-etagfs-describe: true"); all["k"] != "-" || all["implied/"] != "-" || !strings.Contains(all["dir/"], "16877") {
		t.Errorf("of what may not be read: %q", all)
	}
}
