// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"context"
	"errors"
	"fmt"
	"io"
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
// instance, through TUF. With URLs, TrustedRoot must name a file: the public
// root does not vouch for private servers.
type Source struct {
	TrustedRoot   string // file, trusted_root.json
	SigningConfig string // file, signing config v0.2
	// Service URLs; each takes the place of what the signing config says.
	FulcioURL    string
	RekorURL     string
	RekorVersion uint32 // of RekorURL, or the only version taken from the signing config; 0 = 1 for RekorURL, else the highest
	TimestampURL string

	Now func() time.Time // of the selection by validity; nil = time.Now
}

// Load reads files, or asks the public instance's TUF repository, and returns
// whom to ask and whom to trust. When that repository cannot be reached, the
// copy in the user's cache serves, as long as it is not out of date itself.
func (c *Client) Load(ctx context.Context, src Source) (Services, *Trust, error) {
	now := time.Now()
	if src.Now != nil {
		now = src.Now()
	}
	private := src.FulcioURL != "" || src.RekorURL != "" || src.TimestampURL != "" || src.SigningConfig != ""
	if src.TrustedRoot == "" && private {
		return Services{}, nil, configError("service URLs or a signing config are given without a trusted root", "add --trusted-root FILE: the public trust root does not vouch for other servers")
	}
	var trust *Trust
	var configJSON []byte
	var err error
	if src.TrustedRoot != "" {
		trust, err = LoadTrust(src.TrustedRoot)
	} else {
		trust, configJSON, err = c.fetchPublic(ctx)
	}
	if err != nil {
		return Services{}, nil, err
	}
	if src.SigningConfig != "" {
		if configJSON, err = os.ReadFile(src.SigningConfig); err != nil {
			return Services{}, nil, configError(fmt.Sprintf("read signing config: %v", err), "")
		}
	}
	var s Services
	if configJSON != nil {
		version := src.RekorVersion
		if src.RekorURL != "" { // then it is that log's version
			version = 0
		}
		if s, err = selectServices(configJSON, version, now); err != nil {
			return Services{}, nil, err
		}
	}
	return applyURLs(s, src, trust)
}

// applyURLs lets single URLs take the place of the signing config's, and checks the whole.
func applyURLs(s Services, src Source, trust *Trust) (Services, *Trust, error) {
	if src.FulcioURL != "" {
		s.Fulcio = src.FulcioURL
	}
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
			return configError(fmt.Sprintf("transparency log %s: API version %d is not known", redactURL(l.URL), l.Version), "give 1 or 2")
		}
		if l.Version == 2 && len(s.Timestamps) == 0 {
			return configError("a Rekor v2 log needs a timestamp authority: its entries carry no time", "add --timestamp-url URL")
		}
	}
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
			return configError(fmt.Sprintf("%q is not an http or https URL", redactURL(raw)), "")
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
	return &Error{Stage: StageTrust, Kind: KindConfig, Message: oneLine(message), Advice: advice}
}

// LoadTrust reads a trusted_root.json.
func LoadTrust(path string) (*Trust, error) {
	tr, err := root.NewTrustedRootFromPath(path)
	if err != nil {
		return nil, configError(fmt.Sprintf("read trusted root %s: %v", path, err), "")
	}
	return &Trust{material: tr}, nil
}

// selectServices picks services out of a signing config by validity, version
// and the config's own selectors. version 0 is any.
func selectServices(configJSON []byte, version uint32, now time.Time) (Services, error) {
	pb, err := root.NewSigningConfigProtobuf(configJSON)
	if err != nil {
		return Services{}, configError(fmt.Sprintf("read signing config: %v", err), "")
	}
	sc, err := root.NewSigningConfigFromProtobuf(pb)
	if err != nil {
		return Services{}, configError(fmt.Sprintf("read signing config: %v", err), "")
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

// signingConfigTarget is the target's name in the public TUF repository.
const signingConfigTarget = "signing_config.v0.2.json"

// fetchPublic gets trust root and signing config of the public instance.
func (c *Client) fetchPublic(ctx context.Context) (*Trust, []byte, error) {
	opts := tuf.DefaultOptions().WithFetcher(c.fetcher(ctx)).WithCacheValidity(1)
	trust, config, err := readTUF(opts)
	if err == nil {
		return trust, config, nil
	}
	if ctx.Err() != nil {
		return nil, nil, context.Cause(ctx)
	}
	stamp := filepath.Join(opts.CachePath, tuf.URLToPath(opts.RepositoryBaseURL), "timestamp.json")
	if info, statErr := os.Stat(stamp); statErr == nil {
		offline := tuf.DefaultOptions().WithFetcher(noFetcher{}).WithForceCache()
		if trust, config, cacheErr := readTUF(offline); cacheErr == nil {
			c.log.LogAttrs(ctx, slog.LevelWarn, "the public trust root cannot be refreshed, the cached one is used",
				slog.Duration("age", time.Since(info.ModTime()).Round(time.Minute)), slog.String("reason", oneLine(err.Error())))
			return trust, config, nil
		}
	}
	k := call{stage: StageTrust, service: opts.RepositoryBaseURL}
	if _, ok := errors.AsType[*Error](err); ok {
		return nil, nil, stageError(ctx, k, err)
	}
	return nil, nil, &Error{Stage: StageTrust, Service: opts.RepositoryBaseURL, Kind: KindUnavailable, Message: oneLine(err.Error()), Err: err}
}

func readTUF(opts *tuf.Options) (*Trust, []byte, error) {
	client, err := tuf.New(opts)
	if err != nil {
		return nil, nil, err
	}
	tr, err := root.GetTrustedRoot(client)
	if err != nil {
		return nil, nil, err
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
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, urlPath, nil)
		if err != nil {
			return nil, err
		}
		resp, err := c.client(ctx, k).Do(req)
		if err != nil {
			if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusNotFound || e.Status == http.StatusForbidden) {
				// How a TUF repository says that there is no newer root.
				return nil, &metadata.ErrDownloadHTTP{StatusCode: e.Status, URL: urlPath}
			}
			return nil, err
		}
		defer resp.Body.Close()
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxLength+1))
		if err == nil && int64(len(data)) > maxLength {
			return nil, &metadata.ErrDownloadLengthMismatch{Msg: "download of " + redactURL(urlPath) + " is too large"}
		}
		return data, err
	}
}

type noFetcher struct{}

func (noFetcher) DownloadFile(urlPath string, _ int64, _ time.Duration) ([]byte, error) {
	return nil, fmt.Errorf("not fetched: %s", strings.TrimSpace(redactURL(urlPath)))
}
