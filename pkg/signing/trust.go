// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tuf"
	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Log is a transparency log and the major version of its API, 1 or 2.
type Log struct {
	URL     string
	Version uint32
}

// Services are the servers that take part in one signature. Every timestamp
// authority and every log listed is asked.
type Services struct {
	Fulcio     string   // base URL
	Timestamps []string // full URLs with path
	Logs       []Log
}

// Trust is what signatures are verified against.
type Trust struct {
	material root.TrustedMaterial
}

// Source says where trust root and services come from. Empty: the public
// instance, through TUF. With URLs, TrustedRoot or TUFRoot must name a file: the
// public root does not vouch for private servers.
type Source struct {
	TrustedRoot   string // file, trusted_root.json
	SigningConfig string // file, signing config v0.2
	// TUFURL is a repository in place of the public one: a mirror of it, or with
	// TUFRoot (file, root.json) that of another instance.
	TUFURL, TUFRoot string
	// Service URLs; each takes the place of what the signing config says.
	FulcioURL    string
	RekorURL     string
	RekorVersion uint32 // of RekorURL, or the only version taken from the signing config; 0 = 1 for RekorURL, else the highest
	TimestampURL string

	Now func() time.Time // of the selection by validity; nil = time.Now
}

func (src Source) now() time.Time {
	if src.Now != nil {
		return src.Now()
	}
	return time.Now()
}

// Load reads files, or asks the public instance's TUF repository, and returns
// whom to ask and whom to trust. When that repository cannot be reached, the
// copy in the user's cache serves, as long as it is not out of date itself.
func (c *Client) Load(ctx context.Context, src Source) (Services, *Trust, error) {
	// A signing config given by hand, or by URLs, is not looked for.
	target := signingConfigTarget
	if src.SigningConfig != "" || src.FulcioURL != "" {
		target = ""
	}
	trust, configJSON, err := c.loadTrust(ctx, src, target)
	if err != nil {
		return Services{}, nil, err
	}
	if src.SigningConfig != "" {
		if configJSON, err = os.ReadFile(src.SigningConfig); err != nil {
			return Services{}, nil, configFileError("signing config", err)
		}
	}
	var s Services
	if configJSON != nil {
		version := src.RekorVersion
		if src.RekorURL != "" { // then it is that log's version
			version = 0
		}
		if s, err = selectServices(configJSON, version, src.now()); err != nil {
			return Services{}, nil, err
		}
	}
	return applyURLs(s, src, trust)
}

// Fallback returns the services of a second signing config, whose logs have version 2:
// the file's, or without one that of the TUF repository where the first came from. The
// trust root is the same.
func (c *Client) Fallback(ctx context.Context, src Source, file string) (Services, error) {
	var config []byte
	var err error
	if file != "" {
		if config, err = os.ReadFile(file); err != nil {
			return Services{}, configFileError("fallback signing config", err)
		}
	} else {
		if src.TrustedRoot != "" {
			return Services{}, configError("a fallback to Rekor v2 is asked for with a trusted root of its own, and no signing config for it is given", "add --fallback-signing-config FILE")
		}
		if _, config, err = c.fetchTUF(ctx, src, fallbackConfigTarget); err != nil {
			return Services{}, err
		}
	}
	s, err := selectServices(config, 2, src.now())
	if err != nil {
		return Services{}, err
	}
	if len(s.Logs) == 0 {
		return Services{}, configError("the fallback signing config names no Rekor v2 log", "")
	}
	return s, s.validate()
}

// Trust is the half of [Client.Load] that verifying needs.
func (c *Client) Trust(ctx context.Context, src Source) (*Trust, error) {
	trust, _, err := c.loadTrust(ctx, src, "")
	return trust, err
}

// loadTrust gets the trust root, and the signing config that stands beside it in a TUF
// repository under the name target, "" for none.
func (c *Client) loadTrust(ctx context.Context, src Source, target string) (trust *Trust, configJSON []byte, err error) {
	if src.TUFRoot != "" && src.TUFURL == "" {
		return nil, nil, configError("a TUF root is given without the repository that it is for", "add --tuf-url URL")
	}
	private := src.TUFRoot == "" && (src.FulcioURL != "" || src.RekorURL != "" || src.TimestampURL != "" || src.SigningConfig != "")
	if src.TrustedRoot == "" && private {
		return nil, nil, configError("service URLs or a signing config are given without a trusted root", "add --trusted-root FILE: the public trust root does not vouch for other servers")
	}
	if src.TrustedRoot != "" {
		trust, err = LoadTrust(src.TrustedRoot)
		return trust, nil, err
	}
	return c.fetchTUF(ctx, src, target)
}

// applyURLs lets single URLs take the place of the signing config's, and checks the whole.
func applyURLs(s Services, src Source, trust *Trust) (Services, *Trust, error) {
	s.Fulcio = cmp.Or(src.FulcioURL, s.Fulcio)
	if src.TimestampURL != "" {
		s.Timestamps = []string{src.TimestampURL}
	}
	if src.RekorURL != "" {
		s.Logs = []Log{{URL: src.RekorURL, Version: max(src.RekorVersion, 1)}}
	}
	if err := s.validate(); err != nil {
		return Services{}, nil, err
	}
	return s, trust, nil
}

func (s Services) validate() error {
	urls := append([]string{s.Fulcio}, s.Timestamps...)
	if s.Fulcio == "" {
		return configError("no certificate authority is given", "add --fulcio-url URL or --signing-config FILE")
	}
	if len(s.Logs) == 0 && len(s.Timestamps) == 0 {
		return configError("neither a transparency log nor a timestamp authority is given", "add --rekor-url URL or --signing-config FILE")
	}
	for _, l := range s.Logs {
		urls = append(urls, l.URL)
		if l.Version != 1 && l.Version != 2 {
			return configError(fmt.Sprintf("transparency log %s: API version %d is not known", wire.RedactURL(l.URL), l.Version), "give 1 or 2")
		}
		if l.Version == 2 && len(s.Timestamps) == 0 {
			return configError("a Rekor v2 log needs a timestamp authority: its entries carry no time", "add --timestamp-url URL")
		}
	}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return configError(fmt.Sprintf("%q is not an http or https URL", wire.RedactURL(raw)), "")
		}
	}
	return nil
}

// LogsFor are the logs that a signature of that format goes to.
func (s Services) LogsFor(format Format) []Log {
	if format != FormatLegacy {
		return s.Logs
	}
	return slices.DeleteFunc(slices.Clone(s.Logs), func(l Log) bool { return l.Version != 1 })
}

// Supports says which of the formats these services cannot make.
func (s Services) Supports(formats []Format) error {
	if slices.Contains(formats, FormatLegacy) && len(s.LogsFor(FormatLegacy)) == 0 {
		return configError("a legacy signature needs a Rekor v1 log, and the services have none", "add --rekor-version=1, or sign with --format=bundle")
	}
	return nil
}

func configError(message, advice string) *Error {
	return &Error{Stage: StageTrust, Kind: KindConfig, Message: wire.OneLine(message), Advice: advice}
}

// configFileError keeps the cause, which tells a file that is wrong from one that cannot
// be read.
func configFileError(what string, err error) *Error {
	e := configError(fmt.Sprintf("read %s: %v", what, err), "")
	e.Err = err
	return e
}

// LoadTrust reads a trusted_root.json.
func LoadTrust(path string) (*Trust, error) {
	tr, err := root.NewTrustedRootFromPath(path)
	if err != nil {
		return nil, configFileError("trusted root "+path, err)
	}
	return &Trust{material: tr}, nil
}

// selectServices picks services out of a signing config by validity, version
// and the config's own selectors. version 0 is any.
func selectServices(configJSON []byte, version uint32, now time.Time) (Services, error) {
	pb, err := root.NewSigningConfigProtobuf(configJSON)
	if err != nil {
		return Services{}, configFileError("signing config", err)
	}
	sc, err := root.NewSigningConfigFromProtobuf(pb)
	if err != nil {
		return Services{}, configFileError("signing config", err)
	}
	versions := sign.RekorAPIVersions
	if version != 0 {
		versions = []uint32{version}
	}
	var s Services
	ca, err := root.SelectService(sc.FulcioCertificateAuthorityURLs(), sign.FulcioAPIVersions, now)
	if err != nil {
		return Services{}, configError(fmt.Sprintf("signing config: certificate authority: %v", err), "")
	}
	s.Fulcio = ca.URL
	// The selectors are read only where the config has them: sigstore-go does not expect them to be missing.
	if logs := sc.RekorLogURLs(); len(logs) > 0 && pb.GetRekorTlogConfig() != nil {
		selected, err := root.SelectServices(logs, sc.RekorLogURLsConfig(), versions, now)
		if err != nil {
			return Services{}, configError(fmt.Sprintf("signing config: transparency log: %v", err), "")
		}
		for _, l := range selected {
			s.Logs = append(s.Logs, Log{URL: l.URL, Version: l.MajorAPIVersion})
		}
	}
	if tsas := sc.TimestampAuthorityURLs(); len(tsas) > 0 && pb.GetTsaConfig() != nil {
		selected, err := root.SelectServices(tsas, sc.TimestampAuthorityURLsConfig(), sign.TimestampAuthorityAPIVersions, now)
		if err != nil {
			return Services{}, configError(fmt.Sprintf("signing config: timestamp authority: %v", err), "")
		}
		for _, t := range selected {
			s.Timestamps = append(s.Timestamps, t.URL)
		}
	}
	return s, nil
}

// The targets' names in TUF repositories of Sigstore. The second names Rekor v2
// (sigstore/root-signing#1642); the logs in it change, so none is written down here.
const (
	signingConfigTarget  = "signing_config.v0.2.json"
	fallbackConfigTarget = "signing_config_rekor_v2.v0.2.json"
)

// fetchTUF gets trust root and signing config from a TUF repository. When it
// cannot be reached, the copy of the last run serves, with a warning of its age.
func (c *Client) fetchTUF(ctx context.Context, src Source, target string) (*Trust, []byte, error) {
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
	trust, config, err := readTUF(opts.WithFetcher(c.fetcher(ctx)).WithCacheValidity(1), target)
	if err == nil {
		return trust, config, nil
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	stamp := filepath.Join(opts.CachePath, tuf.URLToPath(opts.RepositoryBaseURL), "timestamp.json")
	if info, statErr := os.Stat(stamp); statErr == nil {
		offline := repository().WithFetcher(fetcherFunc(notFetched)).WithForceCache()
		if trust, config, cacheErr := readTUF(offline, target); cacheErr == nil {
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

func readTUF(opts *tuf.Options, target string) (*Trust, []byte, error) {
	client, err := tuf.New(opts)
	if err != nil {
		return nil, nil, err
	}
	tr, err := root.GetTrustedRoot(client)
	if err != nil || target == "" {
		return &Trust{material: tr}, nil, err
	}
	config, err := client.GetTarget(target)
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
