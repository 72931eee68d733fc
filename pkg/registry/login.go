// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/regclient/regclient/config"

	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Login returns the user name and the secret of docker's login for a registry, both
// empty when there is none.
func (c *Client) Login(registry string) (user, secret string) {
	for _, host := range c.logins {
		if host.Name == registry {
			cred := host.GetCred() // of a copy: GetCred may run a credential helper and keep its answer
			user, secret = cred.User, cred.Password
		}
	}
	return user, secret
}

// HasLogin reports whether docker has a login for a registry. It runs no credential
// helper.
func (c *Client) HasLogin(registry string) bool {
	return slices.ContainsFunc(c.logins, func(h config.Host) bool { return h.Name == registry })
}

// gate guards one login: the user name and the password that docker has for a
// registry. Docker Hub locks an account after a few wrong passwords, and every
// repository, and the API beside the registry, asks for a token of its own. So until
// an answer has shown that the login is good, the requests that carry it take turns,
// and one that was refused, or answered with 429, is not sent again in this run.
type gate struct {
	turn    chan struct{} // holds one value; who takes it may read and set what follows
	good    bool
	refused *answer
}

func newGate() *gate {
	g := &gate{turn: make(chan struct{}, 1)}
	g.turn <- struct{}{}
	return g
}

// send sends a request that carries the login, or gives the answer again with which
// the login was refused before.
func (g *gate) send(ctx context.Context, req *http.Request, do func(*http.Request) (*http.Response, error)) (*http.Response, error) {
	select {
	case <-g.turn:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if g.good {
		g.turn <- struct{}{}
		return do(req)
	}
	defer func() { g.turn <- struct{}{} }()
	if g.refused != nil {
		return &http.Response{
			StatusCode: g.refused.status, Header: g.refused.header.Clone(), Request: req,
			Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: io.NopCloser(bytes.NewReader(g.refused.body)),
		}, nil
	}
	resp, err := do(req)
	switch {
	case err != nil:
	case resp.StatusCode == http.StatusOK:
		g.good = true
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusTooManyRequests:
		body, _ := wire.ReadAll(resp.Body, wire.MaxErrorBody)
		_ = resp.Body.Close()
		resp.Body = io.NopCloser(bytes.NewReader(body))
		g.refused = &answer{status: resp.StatusCode, header: resp.Header.Clone(), body: body}
	}
	return resp, err
}
