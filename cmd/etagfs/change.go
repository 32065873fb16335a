package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

func rmCommand(t *terminal) *cobra.Command {
	var at location
	var cond condition
	var force bool
	c := &cobra.Command{
		Use:   "rm STORE KEY...",
		Short: "Delete objects",
		Args:  keyed(2, -1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			otherwise := objstore.IfPresent()
			if force {
				otherwise = objstore.Unconditional()
			}
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				for _, key := range args[1:] {
					if err := t.remove(c, bucket, objstore.Key(key), cond, otherwise); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	at.flags(c)
	cond.matchFlag(c)
	c.Flags().BoolVarP(&force, "force", "f", false, "what is not there is no error")
	return c
}

func (t *terminal) remove(c *cobra.Command, bucket objstore.Store, key objstore.Key, cond condition, otherwise objstore.Cond) error {
	when, err := cond.existing(c.Context(), bucket, key, otherwise)
	if err == nil && when == objstore.IfPresent() {
		when, err = present(c.Context(), bucket, key)
	}
	if err != nil {
		return err
	}
	if err := bucket.Delete(c.Context(), key, when, objstore.DeleteOptions{}); err != nil {
		return cond.unmet(key, err)
	}
	if !t.json {
		return nil
	}
	return t.printJSON(struct {
		jsonKey
		Removed bool `json:"removed"`
	}{keyJSON(key), true})
}

func mvCommand(t *terminal) *cobra.Command {
	var at location
	var cond condition
	var twoSteps bool
	c := &cobra.Command{
		Use:   "mv STORE FROM TO",
		Short: "Rename an object, or with a trailing slash a directory, in one step",
		Long: `Rename an object in one step, in place of what is at TO. --if-match is about
FROM, --if-none-match about TO. "mv STORE a/ b/" renames a directory with all
that is in it.

Most S3 stores cannot rename. With --copy an object is copied there and then
deleted, which is not one step: for a moment it has both names, and where the
store has no conditional delete a change of FROM in that moment is lost.`,
		Args: keyed(3, 3, 2),
		RunE: func(c *cobra.Command, args []string) error {
			from := objstore.Key(args[1])
			to, err := newKey(args[2])
			if err != nil {
				return err
			}
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				source, err := cond.existing(c.Context(), bucket, from, objstore.IfPresent())
				if err != nil {
					return err
				}
				target, err := cond.absent(objstore.Unconditional())
				if err != nil {
					return err
				}
				info, err := rename(c.Context(), bucket, objstore.RenameRequest{Src: from, SrcCond: source, Dst: to, DstCond: target}, twoSteps)
				if err != nil || !t.json {
					return cond.unmet(from, err)
				}
				return t.printJSON(objectJSON(to, info))
			})
		},
	}
	at.flags(c)
	cond.matchFlag(c)
	cond.noneMatchFlag(c)
	c.Flags().BoolVar(&twoSteps, "copy", false, "copy and delete if the store cannot rename")
	return c
}

func rename(ctx context.Context, bucket objstore.Store, req objstore.RenameRequest, twoSteps bool) (objstore.Info, error) {
	switch {
	case bucket.Capabilities().RenameFile:
		return bucket.Rename(ctx, req)
	case twoSteps:
		return copyAndDelete(ctx, bucket, req)
	}
	return objstore.Info{}, &objstore.Error{
		Op: "mv", Key: string(req.Src), Kind: objstore.ErrUnsupported,
		Detail: "the store cannot rename; --copy copies and then deletes, which is not one step",
	}
}
