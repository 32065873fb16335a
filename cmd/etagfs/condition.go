package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

// condition is what --if-match and --if-none-match say.
type condition struct {
	match     expected
	noneMatch expected
}

// expected is what a condition expects; empty if there is none. A flag that is given says something: what a
// script forgot to fill in must not become a change without a condition.
type expected string

// String implements pflag.Value.
func (e *expected) String() string { return string(*e) }

// Type implements pflag.Value.
func (e *expected) Type() string { return "ETag" }

// Set implements pflag.Value.
func (e *expected) Set(value string) error {
	if strings.Trim(value, `"`) == "" {
		return errors.New("it is empty")
	}
	*e = expected(value)
	return nil
}

func (c *condition) matchFlag(cmd *cobra.Command) {
	cmd.Flags().Var(&c.match, "if-match", "only if the object's ETag is this one, or '*': only if it exists")
}

func (c *condition) noneMatchFlag(cmd *cobra.Command) {
	cmd.Flags().Var(&c.noneMatch, "if-none-match", "'*': only if there is no such object")
}

// existing is the condition on an object: that of --if-match, or otherwise.
// The ETag is translated to the version it stands for, and the store compares
// that one at the moment of the change.
func (c *condition) existing(ctx context.Context, bucket objstore.Store, key objstore.Key, otherwise objstore.Cond) (objstore.Cond, error) {
	switch {
	case c.match == "":
		return otherwise, nil
	case c.match == "*":
		return objstore.IfPresent(), nil
	case strings.HasPrefix(string(c.match), "W/"):
		return objstore.Cond{}, usageErrorf("--if-match %s: a weak ETag matches nothing", c.match)
	}
	want := objstore.ETag(strings.Trim(string(c.match), `"`))
	info, err := bucket.Head(ctx, key)
	if err != nil {
		return objstore.Cond{}, c.unmet(key, err)
	}
	if info.ETag != want {
		return objstore.Cond{}, &objstore.Error{
			Op: "match", Key: string(key), Kind: objstore.ErrPrecondition, Winner: info.ETag,
			Detail: fmt.Sprintf("its ETag is %s, not %s", info.ETag, want),
		}
	}
	return objstore.IfVersion(info.Version), nil
}

// unmet is err, in words that say what was asked for if that is why: there is no object to have an ETag.
func (c *condition) unmet(key objstore.Key, err error) error {
	if c.match == "" || objstore.KindOf(err) != objstore.ErrNotFound {
		return err
	}
	return &objstore.Error{
		Op: "match", Key: string(key), Kind: objstore.ErrNotFound,
		Detail: fmt.Sprintf("there is no such object, and --if-match %s asks for one", c.match),
	}
}

// absent is the condition of --if-none-match, or otherwise.
func (c *condition) absent(otherwise objstore.Cond) (objstore.Cond, error) {
	switch c.noneMatch {
	case "":
		return otherwise, nil
	case "*":
		return objstore.IfAbsent(), nil
	}
	return objstore.Cond{}, usageErrorf("--if-none-match %s: only '*' is possible", c.noneMatch)
}

// write is the condition of an overwrite, which may have either flag.
func (c *condition) write(ctx context.Context, bucket objstore.Store, key objstore.Key) (objstore.Cond, error) {
	if c.match != "" && c.noneMatch != "" {
		return objstore.Cond{}, usageErrorf("--if-match and --if-none-match exclude each other")
	}
	otherwise, err := c.absent(objstore.Unconditional())
	if err != nil {
		return objstore.Cond{}, err
	}
	return c.existing(ctx, bucket, key, otherwise)
}
