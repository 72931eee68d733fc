// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/regclient/regclient"
	"github.com/regclient/regclient/scheme/reg"
	"github.com/regclient/regclient/types/errs"
)

// Copy copies the image from.Digest, with all that an index contains, to another
// repository, under the same digest and under no tag. What is there already is not sent
// again. Its many requests are regclient's: each is tried once, and callers, who have
// asked both registries before, repeat the whole.
func (c *Client) Copy(ctx context.Context, from, to Reference) error {
	rc := regclient.New(
		regclient.WithConfigHost(c.settings(from.Registry), c.settings(to.Registry)),
		regclient.WithUserAgent(c.options.UserAgent),
		regclient.WithRegOpts(
			reg.WithHTTPClient(&http.Client{Transport: c.options.Transport}), // blobs have no limit but ctx
			reg.WithRetryLimit(1),
			reg.WithDelay(time.Nanosecond, time.Nanosecond),
			reg.WithManifestMax(maxBody, maxBody),
		),
	)
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
