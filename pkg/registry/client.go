// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/regclient/regclient"
	"github.com/regclient/regclient/config"
	"github.com/regclient/regclient/scheme/reg"
)

// Options say how to talk to registries. The zero value is usable.
type Options struct {
	Timeout   time.Duration     // of one request with its body; 0 means 30 s
	UserAgent string            // "" means "pushguard"
	Log       *slog.Logger      // nil discards
	Transport http.RoundTripper // nil means a new http.Transport
}

// concurrency is how many requests go to one registry at once.
const concurrency = 16

// Client makes requests to any number of registries, with docker's logins and
// credential helpers. It is safe for concurrent use. No method retries.
type Client struct {
	transport http.RoundTripper
	timeout   time.Duration
	// base ends token requests, which regclient makes without the caller's context.
	base   context.Context //nolint:containedctx // see above
	agent  string
	log    *slog.Logger
	logins []config.Host
	hub    *Hub

	mu    sync.Mutex
	hosts map[string]*host // by registry: one that fails must not slow the others
	pulls map[string]Pulls // by registry
}

// host is what talks to one registry.
type host struct {
	*recorder

	rc *regclient.RegClient
}

// New returns a client. base bounds the requests for tokens, which have no
// caller's context; docker's configuration ($DOCKER_CONFIG/config.json,
// $DOCKER_AUTH_CONFIG) is read once, here.
func New(base context.Context, o Options) (*Client, error) {
	logins, err := config.DockerLoad()
	if err != nil {
		return nil, fmt.Errorf("read docker's logins (config.json): %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.UserAgent == "" {
		o.UserAgent = "pushguard"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	c := &Client{
		transport: o.Transport,
		timeout:   o.Timeout,
		base:      base,
		agent:     o.UserAgent,
		log:       o.Log,
		logins:    logins,
		hosts:     map[string]*host{},
		pulls:     map[string]Pulls{},
	}
	c.hub = newHub(c)
	return c, nil
}

func newTransport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxResponseHeaderBytes = maxHeaderSize
	t.MaxIdleConnsPerHost = concurrency
	return t
}

// host returns the client of ref's registry.
func (c *Client) host(ref Reference) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[ref.Registry]; h != nil {
		return h
	}
	settings := *config.HostNewName(ref.Registry)
	for _, login := range c.logins {
		if login.Name == settings.Name {
			settings = login
		}
	}
	settings.Mirrors = nil // a mirror's answer can be stale
	settings.RepoAuth = true
	settings.ReqConcurrent = concurrency
	if ref.loopback() {
		settings.TLS = config.TLSDisabled
	}
	h := &host{recorder: &recorder{next: c.transport, base: c.base, tokens: map[string]token{}, logins: map[string]*login{}}}
	client := http.Client{Transport: h.recorder, Timeout: c.timeout}
	h.rc = regclient.New(
		regclient.WithConfigHost(settings),
		regclient.WithUserAgent(c.agent),
		regclient.WithRegOpts(
			reg.WithHTTPClient(&client),
			reg.WithRetryLimit(1),                           // exactly one layer retries, and it is not this one
			reg.WithDelay(time.Nanosecond, time.Nanosecond), // nor does it wait
			reg.WithManifestMax(maxBody, maxBody),
			reg.WithBlobSize(-1, -1), // no chunks: one PUT a blob
		),
	)
	c.hosts[ref.Registry] = h
	return h
}

// Challenges reports whether ref's registry is likely to answer a first request with
// a challenge: Docker Hub and GHCR always do, others where docker has a login. Who
// asks for many tags there sends one request first, and the others with its token.
func (c *Client) Challenges(ref Reference) bool {
	if ref.Registry == DockerHub || ref.Registry == GHCR {
		return true
	}
	return slices.ContainsFunc(c.logins, func(login config.Host) bool { return login.Name == ref.Registry })
}

// forget drops what was learnt of ref's registry. regclient keeps it in mind that
// a registry has no referrers API even when it was an outage that said so.
func (c *Client) forget(ref Reference) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.hosts, ref.Registry)
}

// do runs one operation of regclient and makes an [Error] of its failure.
func (c *Client) do(ctx context.Context, op string, ref Reference, f func(context.Context, *regclient.RegClient) error) error {
	t := &trace{}
	start := time.Now()
	err := f(context.WithValue(ctx, traceKey{}, t), c.host(ref).rc)
	for _, a := range t.answers {
		p, limited := pullsLeft(ref.Registry, a.header)
		if limited {
			c.note(p)
		}
		if !c.log.Enabled(ctx, slog.LevelDebug) {
			continue
		}
		args := []any{"method", a.method, "registry", ref.Registry, "path", a.path, "status", a.status}
		if limited {
			args = append(args, "pulls_left", p.String())
		}
		c.log.DebugContext(ctx, "request", args...)
	}
	if err == nil {
		return nil
	}
	e := c.failure(ctx, op, ref, t, err)
	c.log.DebugContext(ctx, "failed", "op", op, "ref", ref.String(), "reason", e.Reason(), "after", time.Since(start).Round(time.Millisecond))
	return e
}
