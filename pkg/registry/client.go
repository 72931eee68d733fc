// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
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
	Reader    Reader            // nil reads answers by the specification alone
}

// concurrency is how many requests go to one registry at once.
const concurrency = 16

// Client makes requests to any number of registries, with docker's logins and
// credential helpers. It is safe for concurrent use. No method retries.
type Client struct {
	options Options
	// base ends token requests, which regclient makes without the caller's context.
	base   context.Context //nolint:containedctx // see above
	logins []config.Host

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
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	o.UserAgent = cmp.Or(o.UserAgent, "pushguard")
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	return &Client{options: o, base: base, logins: logins, hosts: map[string]*host{}, pulls: map[string]Pulls{}}, nil
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

// host returns the client of a registry.
func (c *Client) host(registry string) *host {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.hosts[registry]; h != nil {
		return h
	}
	h := &host{recorder: &recorder{next: c.options.Transport, base: c.base, tokens: map[string]token{}, gate: newGate(), seen: http.Header{}}}
	h.rc = c.regclient(registry, h.recorder)
	c.hosts[registry] = h
	return h
}

// regclient returns a client library for one registry that sends through r.
func (c *Client) regclient(registry string, r *recorder) *regclient.RegClient {
	return c.library(http.Client{Transport: r, Timeout: c.options.Timeout}, []string{registry},
		reg.WithBlobSize(-1, -1)) // no chunks: one PUT a blob
}

// library returns a client library for registries that sends through client.
func (c *Client) library(client http.Client, registries []string, more ...reg.Opts) *regclient.RegClient {
	opts := []regclient.Opt{
		regclient.WithUserAgent(c.options.UserAgent),
		regclient.WithRegOpts(append(more,
			reg.WithHTTPClient(&client),
			reg.WithRetryLimit(1),                           // exactly one layer retries, and it is not this one
			reg.WithDelay(time.Nanosecond, time.Nanosecond), // nor does it wait
			reg.WithManifestMax(maxBody, maxBody),
		)...),
	}
	for _, registry := range registries {
		opts = append(opts, regclient.WithConfigHost(c.settings(registry)))
	}
	return regclient.New(opts...)
}

// settings say how a registry is reached, with docker's login for it.
func (c *Client) settings(registry string) config.Host {
	settings := *config.HostNewName(registry)
	for _, login := range c.logins {
		if login.Name == settings.Name {
			settings = login
		}
	}
	settings.Mirrors = nil // a mirror's answer can be stale
	settings.RepoAuth = true
	settings.ReqConcurrent = concurrency
	if (Reference{Registry: registry}).Loopback() {
		settings.TLS = config.TLSDisabled
	}
	return settings
}

// forget drops what regclient has learnt of a registry: it remembers that a registry
// has no referrers API even when it was an outage that said so. Tokens and a refused
// login stay known.
func (c *Client) forget(registry string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.hosts[registry].recorder
	c.hosts[registry] = &host{r, c.regclient(registry, r)}
}

// do runs one operation of regclient and makes an [Error] of its failure.
func (c *Client) do(ctx context.Context, op string, ref Reference, f func(context.Context, *regclient.RegClient) error) error {
	t := &trace{}
	start := time.Now()
	err := f(context.WithValue(ctx, traceKey{}, t), c.host(ref.Registry).rc)
	for _, a := range t.answers {
		p, limited := pullsLeft(ref.Registry, a.header)
		if limited {
			c.note(p)
		}
		if !c.options.Log.Enabled(ctx, slog.LevelDebug) {
			continue
		}
		args := []any{"method", a.method, "registry", ref.Registry, "path", a.path, "status", a.status}
		if limited {
			args = append(args, "pulls_left", p.String())
		}
		c.options.Log.DebugContext(ctx, "request", args...)
	}
	if err == nil {
		return nil
	}
	e := c.failure(ctx, op, ref, t, err)
	c.options.Log.DebugContext(ctx, "failed", "op", op, "ref", ref.String(), "reason", e.Reason(), "after", time.Since(start).Round(time.Millisecond))
	return e
}

// Seen returns the newest value of each header that a registry has sent.
func (c *Client) Seen(registry string) http.Header { return c.host(registry).headers() }
