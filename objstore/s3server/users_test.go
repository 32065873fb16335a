package s3server_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore/s3server"
)

func TestCredentialsFileIsForItsOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.json")
	write := func(text string, mode os.FileMode) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	const good = `{"users":[{"name":"ana","accessKey":"AK","secretKey":"hush-hush","write":["main/x"]}],"anonymous":{"read":["pub"]}}`
	write(good, 0o600)
	users, err := s3server.ReadUsers(path)
	if err != nil || users.Users[0].Name != "ana" || users.Anonymous == nil {
		t.Fatalf("%+v, %v", users, err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o777} {
		write(good, mode)
		if _, err := s3server.ReadUsers(path); err == nil || !strings.Contains(err.Error(), "0600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	for what, text := range map[string]string{
		"no JSON":          `{"users":[{"secretKey":"hush-hush"`,
		"unknown member":   `{"users":[],"secretKey":"hush-hush"}`,
		"wrong type":       `{"users":"hush-hush"}`,
		"no name":          `{"users":[{"accessKey":"AK","secretKey":"hush-hush"}]}`,
		"no secret":        `{"users":[{"name":"ana","accessKey":"AK"}]}`,
		"slash in a key":   `{"users":[{"name":"ana","accessKey":"A/K","secretKey":"hush-hush"}]}`,
		"one key twice":    `{"users":[{"name":"a","accessKey":"AK","secretKey":"hush-hush"},{"name":"b","accessKey":"AK","secretKey":"x"}]}`,
		"one name twice":   `{"users":[{"name":"a","accessKey":"AK","secretKey":"hush-hush"},{"name":"a","accessKey":"BK","secretKey":"x"}]}`,
		"something behind": good + ` {}`,
		"no bucket":        `{"anonymous":{"read":["/docs"]}}`,
		"an empty grant":   `{"anonymous":{"read":[""]}}`,
		"a star within":    `{"users":[{"name":"ana","accessKey":"AK","secretKey":"hush-hush","write":["ma*n"]}]}`,
		"two stars":        `{"anonymous":{"admin":["**"]}}`,
		"a starred prefix": `{"users":[{"name":"ana","accessKey":"AK","secretKey":"hush-hush","admin":["main/docs/*"]}]}`,
		"anonymous by key": `{"anonymous":{"accessKey":"AK","secretKey":"hush-hush"}}`,
	} {
		write(text, 0o600)
		if _, err := s3server.ReadUsers(path); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s3server.ReadUsers(t.TempDir()); err == nil {
		t.Error("a directory is a credentials file")
	}
}

func TestUsersOfTheEnvironment(t *testing.T) {
	for what, r := range map[string]struct {
		env  map[string]string
		key  string
		fail bool
	}{
		"nothing":     {nil, "", false},
		"our names":   {map[string]string{"ETAGFS_ACCESS_KEY": "E", "ETAGFS_SECRET_KEY": "s", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, "E", false},
		"AWS's names": {map[string]string{"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s"}, "A", false},
		"half":        {map[string]string{"ETAGFS_ACCESS_KEY": "E"}, "", true},
	} {
		users, err := s3server.UsersOfEnvironment(func(name string) string { return r.env[name] })
		key := ""
		if len(users.Users) > 0 {
			key = users.Users[0].AccessKey
		}
		if (err != nil) != r.fail || key != r.key {
			t.Errorf("%s: %q, %v", what, key, err)
		}
	}
}

func TestRightsAreOnBucketsAndPrefixes(t *testing.T) {
	for _, r := range []struct {
		user    s3server.User
		allowed string // of the attempts below
	}{
		{s3server.User{}, ""},
		{s3server.User{Read: []string{"box"}}, "head get-a get-b list list-a buckets"},
		{s3server.User{Read: []string{"box/a/"}}, "head get-a list-a buckets"},
		{s3server.User{Read: []string{"bo*"}}, "head get-a get-b list list-a buckets"},
		{s3server.User{Read: []string{"other"}}, ""},
		{s3server.User{Write: []string{"box/a/"}}, "head put-a delete-a buckets"},
		{s3server.User{Write: []string{"*"}}, "head put-a put-b delete-a buckets"},
		{s3server.User{Admin: []string{"box"}}, "head get-a get-b list list-a put-a put-b delete-a policy buckets"},
		{s3server.User{Admin: []string{"*"}}, "head get-a get-b list list-a put-a put-b delete-a policy create buckets"},
	} {
		b := serve(t, s3server.Options{Users: s3server.Users{Anonymous: &r.user}})
		admin := b.withUsers(s3server.Users{Anonymous: everything()})
		for _, key := range []string{"a/1", "b/1"} {
			admin.must("PUT", "/box/"+key, "x")
		}
		var allowed []string
		for _, attempt := range []struct{ what, method, path string }{
			{"head", "HEAD", "/box"}, {"get-a", "GET", "/box/a/1"}, {"get-b", "GET", "/box/b/1"}, {"list", "GET", "/box"}, {"list-a", "GET", "/box?prefix=a/"},
			{"put-a", "PUT", "/box/a/2"}, {"put-b", "PUT", "/box/b/2"}, {"delete-a", "DELETE", "/box/a/2"}, {"policy", "DELETE", "/box?policy"}, {"create", "PUT", "/new-bucket"},
		} {
			switch a := b.do(attempt.method, attempt.path, ""); {
			case a.status/100 == 2:
				allowed = append(allowed, attempt.what)
			case a.status != 403:
				t.Errorf("%+v: %s: %d", r.user, attempt.what, a.status)
			}
		}
		if a := b.do("GET", "/", ""); strings.Contains(a.body, "<Name>box</Name>") {
			allowed = append(allowed, "buckets")
		}
		if got := strings.Join(allowed, " "); got != r.allowed {
			t.Errorf("%+v: %q instead of %q", r.user, got, r.allowed)
		}
	}
}

// Nobody is let in by a server that knows nobody, and a missing key looks forbidden to who may not list.
func TestNobodyIsLetInUnasked(t *testing.T) {
	b := serve(t, s3server.Options{Users: s3server.Users{Users: []s3server.User{{Name: "a", AccessKey: "AK", SecretKey: "s", Admin: []string{"*"}}}}})
	for _, r := range []string{"GET /", "GET /box", "PUT /box/k", "GET /box/k", "DELETE /box", "PUT /new-bucket", "POST /box?delete"} {
		method, path, _ := strings.Cut(r, " ")
		if a := b.do(method, path, ""); a.status == 200 || a.status/100 == 5 {
			t.Errorf("%s: %d %s", r, a.status, a.body)
		}
	}
	b.putPolicy(allow("s3:GetObject", ""))
	b.want("missing", b.do("GET", "/box/none", ""), 403, "AccessDenied")
}

// An administrator cannot lock everyone out of the policy.
func TestAdministratorsKeepTheWayToThePolicy(t *testing.T) {
	b := serve(t, s3server.Options{})
	text := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["arn:aws:s3:::box","arn:aws:s3:::box/*"]}]}`
	b.must("PUT", "/box?policy", text) // the one document that needs no checksum
	b.want("denied", b.do("GET", "/box/k", ""), 403, "AccessDenied")
	if got := b.must("GET", "/box?policy", "").body; got != text {
		t.Errorf("%s", got)
	}
	b.must("DELETE", "/box?policy", "")
	b.want("allowed", b.do("GET", "/box/k", ""), 404, "NoSuchKey")
	b.want("no policy", b.do("GET", "/box?policy", ""), 404, "NoSuchBucketPolicy")
	for _, bad := range []string{"", "{}", "x", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow"}]}`} {
		if a := b.do("PUT", "/box?policy", bad, contentMD5(bad)); a.status != 400 {
			t.Errorf("%q: %d", bad, a.status)
		}
	}
}
