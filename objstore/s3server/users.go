package s3server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// access is what a grant allows. Admin includes the others; write does not include read,
// for whoever may only leave something behind.
type access uint8

const (
	accessNone access = iota // whoever is a user at all
	accessRead
	accessWrite
	accessAdmin
)

// User is who may do what. The lists hold "BUCKET", "BUCKET/PREFIX", or "*" for everything;
// a BUCKET that ends in "*" stands for all that begin so.
type User struct {
	Name      string   `json:"name"`
	AccessKey string   `json:"accessKey"`
	SecretKey string   `json:"secretKey"`
	Read      []string `json:"read"`
	Write     []string `json:"write"`
	Admin     []string `json:"admin"`
}

// Users are all who may ask. The zero value lets nobody in.
type Users struct {
	Users []User `json:"users"`
	// Anonymous is what requests without a signature may do; nil: nothing.
	Anonymous *User `json:"anonymous"`
}

// usersBytesMax bounds a credentials file.
const usersBytesMax = 1 << 20

// ReadUsers reads a credentials file, JSON as [Users] has it. It must be a regular file
// that nobody but its owner can read or write.
func ReadUsers(path string) (Users, error) {
	f, err := os.Open(path)
	if err != nil {
		return Users{}, err
	}
	u, err := readUsers(f)
	if err != nil {
		err = fmt.Errorf("credentials file %s: %w", path, err)
	}
	return u, errors.Join(err, f.Close())
}

func readUsers(f fs.File) (Users, error) {
	info, err := f.Stat()
	switch {
	case err != nil:
		return Users{}, err
	case !info.Mode().IsRegular():
		return Users{}, errors.New("is no regular file")
	case info.Mode().Perm()&0o077 != 0:
		return Users{}, fmt.Errorf("has mode %04o, so that others can use it; chmod it to 0600", info.Mode().Perm())
	}
	var u Users
	if err := decodeJSON(io.LimitReader(f, usersBytesMax), &u); err != nil {
		return Users{}, plainJSONError(err)
	}
	return u, u.check()
}

// plainJSONError leaves out what was in the file: it holds secrets.
func plainJSONError(err error) error {
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("no JSON at byte %d", syntax.Offset)
	}
	return errors.New("not the JSON of a credentials file")
}

// UsersOfEnvironment is the one user, with all rights, whose keys are in
// ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY, or else in AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY. Without them it is nobody.
func UsersOfEnvironment(getenv func(string) string) (Users, error) {
	for _, names := range [][2]string{{"ETAGFS_ACCESS_KEY", "ETAGFS_SECRET_KEY"}, {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}} {
		key, secret := getenv(names[0]), getenv(names[1])
		switch {
		case key == "" && secret == "":
			continue
		case key == "" || secret == "":
			return Users{}, fmt.Errorf("of %s and %s one is set, the other is not", names[0], names[1])
		}
		u := Users{Users: []User{{Name: key, AccessKey: key, SecretKey: secret, Admin: []string{"*"}}}}
		return u, u.check()
	}
	return Users{}, nil
}

// With is u and others together.
func (u Users) With(others Users) (Users, error) {
	all := Users{Users: append(append([]User(nil), u.Users...), others.Users...), Anonymous: u.Anonymous}
	if others.Anonymous != nil {
		all.Anonymous = others.Anonymous
	}
	return all, all.check()
}

// check finds what makes no sense. Messages name users, never their keys.
func (u Users) check() error {
	seen := make(map[string]bool)
	for i, user := range u.Users {
		switch {
		case user.Name == "":
			return fmt.Errorf("user %d has no name", i+1)
		case user.AccessKey == "" || user.SecretKey == "":
			return fmt.Errorf("user %s needs an accessKey and a secretKey", user.Name)
		case strings.ContainsAny(user.AccessKey, "/,= "):
			return fmt.Errorf("user %s: an access key has no slash, comma, equals sign or space", user.Name)
		case seen["k"+user.AccessKey]:
			return fmt.Errorf("user %s has the access key of another", user.Name)
		case seen["n"+user.Name]:
			return fmt.Errorf("two users are called %s", user.Name)
		}
		seen["k"+user.AccessKey], seen["n"+user.Name] = true, true
		if err := user.checkGrants(); err != nil {
			return fmt.Errorf("user %s: %w", user.Name, err)
		}
	}
	if u.Anonymous == nil {
		return nil
	}
	if u.Anonymous.AccessKey != "" || u.Anonymous.SecretKey != "" {
		return errors.New("who is anonymous has no keys")
	}
	if err := u.Anonymous.checkGrants(); err != nil {
		return fmt.Errorf("anonymous: %w", err)
	}
	return nil
}

// checkGrants finds grants that would be of nothing, or of something else than they look like.
func (u *User) checkGrants() error {
	for _, grants := range [][]string{u.Read, u.Write, u.Admin} {
		for _, grant := range grants {
			bucket, prefix, _ := strings.Cut(grant, "/")
			switch {
			case bucket == "":
				return fmt.Errorf("%q names no bucket", grant)
			case strings.Contains(strings.TrimSuffix(bucket, "*"), "*"):
				return fmt.Errorf("%q has a star within the name of a bucket, which can only end in one", grant)
			case strings.HasSuffix(prefix, "*"):
				return fmt.Errorf("%q has a star at the end of a prefix, which stands for all that begin so without one", grant)
			}
		}
	}
	return nil
}

// secret is what the signature of an access key is checked with.
func (u Users) secret(accessKey string) (string, bool) {
	if user := u.byKey(accessKey); user != nil {
		return user.SecretKey, true
	}
	return "", false
}

func (u Users) byKey(accessKey string) *User {
	for i := range u.Users {
		if u.Users[i].AccessKey == accessKey {
			return &u.Users[i]
		}
	}
	return nil
}

// has reports whether there is a user of this name.
func (u Users) has(name string) bool {
	return slices.ContainsFunc(u.Users, func(user User) bool { return user.Name == name })
}

// may reports whether u has the access to every key of bucket that begins with prefix.
func (u *User) may(a access, bucket, prefix string) bool {
	if a == accessNone || covers(u.Admin, bucket, prefix) {
		return true
	}
	switch a {
	case accessRead:
		return covers(u.Read, bucket, prefix)
	case accessWrite:
		return covers(u.Write, bucket, prefix)
	default:
		return false
	}
}

// touches reports whether u has any access to some of bucket.
func (u *User) touches(bucket string) bool {
	for _, grants := range [][]string{u.Read, u.Write, u.Admin} {
		for _, grant := range grants {
			name, _, _ := strings.Cut(grant, "/")
			if matchesBucket(name, bucket) {
				return true
			}
		}
	}
	return false
}

func covers(grants []string, bucket, prefix string) bool {
	for _, grant := range grants {
		name, below, _ := strings.Cut(grant, "/")
		if matchesBucket(name, bucket) && strings.HasPrefix(prefix, below) {
			return true
		}
	}
	return false
}

func matchesBucket(pattern, bucket string) bool {
	begin, wild := strings.CutSuffix(pattern, "*")
	return pattern == bucket || wild && strings.HasPrefix(bucket, begin)
}
