// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/sigstore/sigstore/pkg/oauthflow"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// The public instance's login.
const (
	DefaultIssuer   = "https://oauth2.sigstore.dev/auth"
	DefaultClientID = "sigstore"
)

// Login is how a person identifies: in a browser that is opened on this machine, or
// with a code that is typed into a browser on another one (RFC 8628). Both are
// Sigstore's own flows.
type Login struct {
	Issuer   string // URL; "" = DefaultIssuer
	ClientID string // "" = DefaultClientID
	Device   bool   // by code

	In  io.Reader    // for a code typed by hand, where no browser can be opened
	Out io.Writer    // a person reads it
	Say func(string) // a message on a line of its own
}

// LoginToken is the token of a person who logs in when it is needed, and again when
// it has run out.
func LoginToken(l Login) TokenSource { return TokenSource{login: &l} }

// loginToken waits for the person. Sigstore's flows take no context: when ctx ends
// first they are left behind, and end with the process.
func (c *Client) loginToken(ctx context.Context, l *Login) (Token, error) {
	issuer, client := cmp.Or(l.Issuer, DefaultIssuer), cmp.Or(l.ClientID, DefaultClientID)
	var flow oauthflow.TokenGetter = &oauthflow.InteractiveIDTokenGetter{
		HTMLPage: oauthflow.DefaultIDTokenGetter.HTMLPage, Input: l.In, Output: l.Out,
	}
	if l.Device {
		device := oauthflow.NewDeviceFlowTokenGetterForIssuer(issuer)
		device.MessagePrinter = func(s string) { l.Say(wire.OneLine(s)) }
		flow = device
	}
	type outcome struct {
		token *oauthflow.OIDCIDToken
		err   error
	}
	done := make(chan outcome, 1)
	go func() {
		defer bug.Catch()
		token, err := oauthflow.OIDConnect(issuer, client, "", "", flow)
		done <- outcome{token, err}
	}()
	k := call{stage: StageIdentity, service: issuer}
	select {
	case <-ctx.Done():
		return Token{}, context.Cause(ctx)
	case o := <-done:
		if o.err != nil {
			return Token{}, k.loginError(o.err)
		}
		t, err := ParseToken(o.token.RawString, time.Now())
		if err != nil {
			return Token{}, k.malformed(0, err.Error())
		}
		return t, nil
	}
}

// loginError tells a provider that cannot be reached from a login that was refused.
func (k call) loginError(err error) *Error {
	e := k.fail(KindRefused, 0, wire.RedactText(err.Error()))
	e.Err = err
	if u, ok := errors.AsType[*url.Error](err); ok {
		e.Kind, e.Message = KindUnavailable, wire.OneLine(u.Err.Error())
		return e
	}
	e.Message = fmt.Sprintf("the login failed: %s", e.Message)
	e.Advice = "run it again and log in; --login=device takes a code in place of a browser on this machine"
	return e
}
