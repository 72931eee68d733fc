// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// signingConfigTarget is the target's name in TUF repositories of Sigstore.
const signingConfigTarget = "signing_config.v0.2.json"

// fetchTUF gets trust root and signing config from a TUF repository. When it
// cannot be reached, the copy of the last run serves, with a warning of its age.
func (c *Client) fetchTUF(ctx context.Context, src Source) (*Trust, []byte, error) {
	var anchor []byte
	if src.TUFRoot != "" {
		var err error
		if anchor, err = os.ReadFile(src.TUFRoot); err != nil {
			return nil, nil, configFileError("TUF root", err)
		}
	}
	repository := func() *tuf.Options {
		o := tuf.DefaultOptions()
		if anchor != nil {
			o.WithRoot(anchor)
		}
		if src.TUFURL != "" {
			o.WithRepositoryBaseURL(strings.TrimRight(src.TUFURL, "/"))
		}
		if c.options.Cache != "" {
			o.WithCachePath(c.options.Cache)
		}
		return o
	}
	opts := repository()
	// A signing config given by hand, or by URLs, is not looked for.
	wantConfig := src.SigningConfig == "" && src.FulcioURL == ""
	trust, config, err := readTUF(opts.WithFetcher(c.fetcher(ctx)).WithCacheValidity(1), wantConfig)
	if err == nil {
		return trust, config, nil
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	stamp := filepath.Join(opts.CachePath, tuf.URLToPath(opts.RepositoryBaseURL), "timestamp.json")
	if info, statErr := os.Stat(stamp); statErr == nil {
		offline := repository().WithFetcher(fetcherFunc(notFetched)).WithForceCache()
		if trust, config, cacheErr := readTUF(offline, wantConfig); cacheErr == nil {
			c.options.Logger.LogAttrs(ctx, slog.LevelWarn, "the trust root cannot be refreshed, the cached one is used",
				slog.String("from", wire.RedactURL(opts.RepositoryBaseURL)),
				slog.Duration("age", time.Since(info.ModTime()).Round(time.Minute)), slog.String("reason", wire.OneLine(err.Error())))
			return trust, config, nil
		}
	}
	k := call{stage: StageTrust, service: opts.RepositoryBaseURL}
	if _, ok := errors.AsType[*Error](err); ok {
		return nil, nil, stageError(ctx, k, err)
	}
	e := k.fail(KindUnavailable, 0, err.Error())
	e.Err = err
	return nil, nil, e
}

func readTUF(opts *tuf.Options, wantConfig bool) (*Trust, []byte, error) {
	client, err := tuf.New(opts)
	if err != nil {
		return nil, nil, err
	}
	tr, err := root.GetTrustedRoot(client)
	if err != nil || !wantConfig {
		return &Trust{material: tr}, nil, err
	}
	config, err := client.GetTarget(signingConfigTarget)
	return &Trust{material: tr}, config, err
}

// fetcherFunc is go-tuf's fetcher. The library's own takes no context and
// brings a retry loop.
type fetcherFunc func(urlPath string, maxLength int64) ([]byte, error)

func (f fetcherFunc) DownloadFile(urlPath string, maxLength int64, _ time.Duration) ([]byte, error) {
	return f(urlPath, maxLength)
}

func (c *Client) fetcher(ctx context.Context) fetcherFunc {
	return func(urlPath string, maxLength int64) ([]byte, error) {
		k := call{stage: StageTrust, service: urlPath, ok: []int{http.StatusOK}}
		data, err := c.ask(ctx, k, urlPath, nil, nil)
		if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusForbidden) {
			// How a TUF repository says that there is no newer root.
			return nil, &metadata.ErrDownloadHTTP{StatusCode: e.Status, URL: urlPath}
		}
		if int64(len(data)) > maxLength {
			return nil, &metadata.ErrDownloadLengthMismatch{Msg: "download of " + wire.RedactURL(urlPath) + " is too large"}
		}
		return data, err
	}
}

func notFetched(urlPath string, _ int64) ([]byte, error) {
	return nil, fmt.Errorf("not fetched: %s", strings.TrimSpace(wire.RedactURL(urlPath)))
}
