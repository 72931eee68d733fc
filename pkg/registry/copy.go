// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/regclient/regclient/types/errs"
)

// Copy copies the image from.Digest, with all that an index contains, to another
// repository, under the same digest and under no tag. What is there already is not sent
// again. Its many requests are regclient's: each is tried once, and callers, who have
// asked both registries before, repeat the whole. It is no method of Client: the
// commands that never copy do not link what it needs.
func Copy(ctx context.Context, c *Client, from, to Reference) error {
	rc := c.library(http.Client{Transport: c.options.Transport}, []string{from.Registry, to.Registry}) // blobs have no limit but ctx
	err := rc.ImageCopy(ctx, from.WithDigest(from.Digest).regclient(), to.WithDigest(from.Digest).regclient())
	if err == nil {
		return nil
	}
	e := &Error{Op: "copy " + from.String() + " to", Ref: to.WithDigest(from.Digest), LoggedIn: c.HasLogin(to.Registry), Err: err}
	e.Kind, e.Message = network(ctx, err, err)
	switch {
	case errors.Is(err, errs.ErrHTTPUnauthorized):
		e.Kind = KindAuth
	case errors.Is(err, errs.ErrNotFound):
		e.Kind = KindNotFound
	}
	return e
}
