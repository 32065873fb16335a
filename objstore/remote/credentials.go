package remote

import "fmt"

// Credentials are what requests are signed with.
type Credentials struct {
	AccessKey string
	SecretKey string
}

// CredentialsOfEnvironment are those in ETAGFS_ACCESS_KEY and ETAGFS_SECRET_KEY, or else in AWS_ACCESS_KEY_ID and
// AWS_SECRET_ACCESS_KEY; nil: there are none.
func CredentialsOfEnvironment(getenv func(string) string) (*Credentials, error) {
	for _, names := range [][2]string{{"ETAGFS_ACCESS_KEY", "ETAGFS_SECRET_KEY"}, {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}} {
		c := Credentials{getenv(names[0]), getenv(names[1])}
		switch {
		case c == Credentials{}:
			continue
		case c.AccessKey == "" || c.SecretKey == "":
			return nil, fmt.Errorf("of %s and %s one is set, the other is not", names[0], names[1])
		}
		return &c, nil
	}
	return nil, nil
}
