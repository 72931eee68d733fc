// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/oauthflow"

	"github.com/LerianStudio/pushguard/pkg/bug"
	"github.com/LerianStudio/pushguard/pkg/wire"
)

// Audience is the audience of the identity tokens that Fulcio takes.
const Audience = "sigstore"

// Identity is who signed: what verifiers compare.
type Identity struct {
	Subject string `json:"subject"` // the certificate's subject alternative name
	Issuer  string `json:"issuer"`  // URL of the token's issuer
}

// Only is the signer with exactly this identity.
func (id Identity) Only() Signers { return Signers{Subject: id.Subject, Issuer: id.Issuer} }

// Signers are those whose signatures count: by subject and by issuer, each exactly or by
// a regular expression, as cosign's --certificate-identity and its like have them. An
// expression matches anywhere in the text unless it is anchored with ^ and $.
type Signers struct {
	Subject, SubjectRegexp string
	Issuer, IssuerRegexp   string
}

// Check says what is wrong with them: subject and issuer are needed.
func (s Signers) Check() error {
	_, err := s.policy()
	return err
}

// String names them in messages.
func (s Signers) String() string {
	part := func(exact, pattern string) string {
		if exact != "" {
			return exact
		}
		return "/" + pattern + "/"
	}
	return part(s.Subject, s.SubjectRegexp) + " of " + part(s.Issuer, s.IssuerRegexp)
}

func (s Signers) policy() (verify.CertificateIdentity, error) {
	return verify.NewShortCertificateIdentity(s.Issuer, s.IssuerRegexp, s.Subject, s.SubjectRegexp)
}

// Token is an identity token (a JWT). Its claims are read without checking the
// signature: Fulcio does that. The token itself never leaves this package
// other than to Fulcio; no formatting verb prints it.
type Token struct {
	Identity Identity  // as the certificate will have it
	Expires  time.Time // the claim exp; zero when there is none

	raw      func() string // a func, so that no %v of any struct around it shows the token
	received time.Time
	lifetime time.Duration // left when it was received; 0 = not known
}

// String returns the token's subject, never the token.
func (t Token) String() string { return "identity token of " + t.Identity.Subject }

// Expired reports whether the token has run out. It counts from when the token
// was received, so that a wrong clock on this machine does not matter for
// tokens that were just issued.
func (t Token) Expired(now time.Time) bool {
	return t.lifetime != 0 && now.Sub(t.received) >= t.lifetime
}

// ParseToken reads the claims of a JWT that was received now. The error says
// what is missing and never quotes the token.
func ParseToken(raw string, now time.Time) (Token, error) {
	raw = strings.TrimSpace(raw)
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("parse identity token: not a JWT: %d parts, not 3", len(parts))
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[1], "="))
	if err != nil {
		return Token{}, errors.New("parse identity token: claims are not base64url")
	}
	var c claims
	if err := json.Unmarshal(payload, &c); err != nil {
		return Token{}, errors.New("parse identity token: claims are not a JSON object of the right types")
	}
	id := c.identity()
	if id.Issuer == "" || id.Subject == "" {
		return Token{}, errors.New("parse identity token: claim iss or sub is missing")
	}
	t := Token{Identity: id, raw: func() string { return raw }, received: now}
	if c.Expires > 0 {
		t.Expires = time.Unix(int64(c.Expires), 0)
		t.lifetime = t.Expires.Sub(now)
		// A token that says it was issued in the future tells us that our clock is behind.
		if issued := time.Unix(int64(c.IssuedAt), 0); c.IssuedAt > 0 && issued.After(now) {
			t.lifetime = t.Expires.Sub(issued)
		}
		if t.lifetime <= 0 {
			t.lifetime = time.Nanosecond
		}
	}
	return t, nil
}

type claims struct {
	Issuer         string  `json:"iss"`
	Subject        string  `json:"sub"`
	Expires        float64 `json:"exp"`
	IssuedAt       float64 `json:"iat"`
	Email          string  `json:"email"`
	JobWorkflowRef string  `json:"job_workflow_ref"`
	CIConfigRefURI string  `json:"ci_config_ref_uri"`
	Federated      struct {
		ConnectorID string `json:"connector_id"`
	} `json:"federated_claims"`
}

// identity tells what Fulcio will write into the certificate: the called
// workflow for GitHub, the configuration for GitLab, else the e-mail address,
// else the subject. Tokens of Sigstore's own login name the real issuer in
// federated_claims.
func (c claims) identity() Identity {
	id := Identity{Subject: c.Subject, Issuer: c.Issuer}
	switch {
	case c.JobWorkflowRef != "":
		id.Subject = "https://github.com/" + c.JobWorkflowRef
	case c.CIConfigRefURI != "":
		id.Subject = "https://" + c.CIConfigRefURI
	case c.Email != "":
		id.Subject = c.Email
		if u, err := url.Parse(c.Issuer); err == nil && strings.HasPrefix(u.Hostname(), "oauth2.sigst") && c.Federated.ConnectorID != "" {
			id.Issuer = c.Federated.ConnectorID
		}
	}
	return id
}

// TokenSource says where identity tokens come from. The zero value has none.
type TokenSource struct {
	url, bearer func() string // GitHub Actions' endpoint
	static      func() string // a token that was handed in
	login       *Login        // a person
	command     func(context.Context) (string, error)
}

// StaticToken is a token that the user got elsewhere ($SIGSTORE_ID_TOKEN): it
// cannot be renewed.
func StaticToken(raw string) TokenSource {
	return TokenSource{static: func() string { return raw }}
}

// CommandToken is what a command prints, which is asked again when the token has run out.
func CommandToken(run func(context.Context) (string, error)) TokenSource {
	return TokenSource{command: run}
}

// ActionsToken is GitHub Actions' token endpoint, as given to a job with
// "permissions: id-token: write" in ACTIONS_ID_TOKEN_REQUEST_URL and
// ACTIONS_ID_TOKEN_REQUEST_TOKEN. Both may be empty: Token then says what is missing.
func ActionsToken(requestURL, requestToken string) TokenSource {
	return TokenSource{url: func() string { return requestURL }, bearer: func() string { return requestToken }}
}

// Renewable reports whether asking again gives a new token.
func (s TokenSource) Renewable() bool { return s.url != nil || s.login != nil || s.command != nil }

// Token gets a token from source: one request to GitHub's endpoint, none for a
// static token.
func (c *Client) Token(ctx context.Context, source TokenSource) (Token, error) {
	switch {
	case source.static != nil:
		t, err := ParseToken(source.static(), time.Now())
		if err != nil {
			return Token{}, &Error{Stage: StageIdentity, Kind: KindConfig, Message: err.Error(), Advice: "give the whole token, as the issuer returned it"}
		}
		return t, nil
	case source.login != nil:
		return c.loginToken(ctx, source.login)
	case source.command != nil:
		return c.commandToken(ctx, source.command)
	case source.url == nil || source.url() == "" || source.bearer() == "":
		return Token{}, &Error{
			Stage: StageIdentity, Kind: KindConfig,
			Message: "this job may not ask for an identity token: ACTIONS_ID_TOKEN_REQUEST_URL or ACTIONS_ID_TOKEN_REQUEST_TOKEN is missing",
			Advice:  `add "permissions: id-token: write" to the job, or give a token in SIGSTORE_ID_TOKEN`,
		}
	}
	return c.actionsToken(ctx, source)
}

// jwtPattern is what a token looks like, should a command print it among its errors.
var jwtPattern = regexp.MustCompile(`eyJ[\w-]*\.[\w-]*\.?[\w-]*`)

// commandToken runs the command, within the time of one request. Its failure may pass.
func (c *Client) commandToken(ctx context.Context, run func(context.Context) (string, error)) (Token, error) {
	k := call{stage: StageIdentity}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if c.options.Timeout > 0 {
		limited, cancel = context.WithTimeout(ctx, c.options.Timeout)
	}
	defer cancel()
	asked := time.Now()
	raw, err := run(limited)
	if ctx.Err() != nil {
		return Token{}, context.Cause(ctx)
	}
	if err != nil {
		e := k.fail(KindUnavailable, 0, "the command for identity tokens failed: "+jwtPattern.ReplaceAllString(err.Error(), "(a token)"))
		e.Err = err
		return Token{}, e
	}
	t, err := ParseToken(raw, asked)
	if err != nil {
		e := k.fail(KindMalformed, 0, "the command for identity tokens: "+err.Error())
		e.Advice = "it has to print an identity token with the audience " + Audience + ", and nothing else"
		return Token{}, e
	}
	return t, nil
}

func (c *Client) actionsToken(ctx context.Context, source TokenSource) (Token, error) {
	u, err := url.Parse(source.url())
	if err != nil || u.Host == "" {
		return Token{}, &Error{Stage: StageIdentity, Kind: KindConfig, Message: "ACTIONS_ID_TOKEN_REQUEST_URL is not a URL"}
	}
	q := u.Query()
	q.Set("audience", Audience)
	u.RawQuery = q.Encode()
	k := call{stage: StageIdentity, service: u.String(), ok: []int{http.StatusOK}, json: true, bearer: source.bearer}
	var answer struct {
		Value string `json:"value"`
	}
	asked := time.Now()
	_, err = c.ask(ctx, k, u.String(), nil, decode(&answer))
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden) {
			e.Advice = `add "permissions: id-token: write" to the job; a job of a pull request from a fork does not get one`
		}
		return Token{}, err
	}
	t, err := ParseToken(answer.Value, asked)
	if err != nil { // an empty or broken answer of the endpoint: seen as an outage
		return Token{}, k.malformed(http.StatusOK, err.Error())
	}
	return t, nil
}

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
