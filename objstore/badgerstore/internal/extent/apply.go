package extent

import "github.com/etagfs/etagfs/objstore"

// Apply makes the content that differs from base by e. With consume set the
// caller's record stops referring to base in the same transaction. See the package comment for references.
func Apply(base Content, e Edit, env Env, consume bool) (*Plan, error) {
	return nil, objstore.ErrUnsupported
}
