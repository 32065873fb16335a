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

// readFlags are the conditions of what reads an object.
func (c *condition) readFlags(cmd *cobra.Command) {
	c.matchFlag(cmd)
	cmd.Flags().Var(&c.noneMatch, "if-none-match", "only if the object's ETag is not this one; '*': only if there is none, so never")
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
	}
	if err := c.strong(); err != nil {
		return objstore.Cond{}, err
	}
	info, err := bucket.Head(ctx, key)
	if err != nil {
		return objstore.Cond{}, c.unmet(key, err)
	}
	return objstore.IfVersion(info.Version), c.matches(key, info.ETag)
}

// matches says what is wrong if an object with that ETag is not the one that --if-match asks for.
func (c *condition) matches(key objstore.Key, etag objstore.ETag) error {
	if want := c.match.etag(); c.match != "" && c.match != "*" && etag != want {
		return lost(key, etag, fmt.Sprintf("its ETag is %s, not %s", etag, want))
	}
	return nil
}

// differs says what is wrong if an object with that ETag is one that --if-none-match asks not to read.
func (c *condition) differs(key objstore.Key, etag objstore.ETag) error {
	if c.noneMatch == "*" || c.noneMatch != "" && etag == c.noneMatch.etag() {
		return lost(key, etag, fmt.Sprintf("its ETag is %s", etag))
	}
	return nil
}

func lost(key objstore.Key, etag objstore.ETag, detail string) error {
	return &objstore.Error{Op: "match", Key: string(key), Kind: objstore.ErrPrecondition, Winner: etag, Detail: detail}
}

// etag is the ETag a flag names.
func (e expected) etag() objstore.ETag {
	return objstore.ETag(strings.Trim(strings.TrimPrefix(string(e), "W/"), `"`))
}

// head describes an object, if it meets the condition.
func (c *condition) head(ctx context.Context, bucket objstore.Store, key objstore.Key) (objstore.Info, error) {
	if err := c.strong(); err != nil {
		return objstore.Info{}, err
	}
	info, err := bucket.Head(ctx, key)
	if err != nil {
		return objstore.Info{}, c.unmet(key, err)
	}
	if err := c.matches(key, info.ETag); err != nil {
		return objstore.Info{}, err
	}
	return info, c.differs(key, info.ETag)
}

// strong refuses a weak ETag in --if-match.
func (c *condition) strong() error {
	if strings.HasPrefix(string(c.match), "W/") {
		return usageErrorf("--if-match %s: a weak ETag matches nothing", c.match)
	}
	return nil
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
