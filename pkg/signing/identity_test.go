// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

func fakeJWT(claims string) string {
	return "eyJhbGciOiJub25lIn0." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".c2lnbmF0dXJl"
}

func TestParseToken(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, claims string
		want         signing.Identity
		wantErr      string
	}{
		{
			"GitHub workflow", `{"iss":"https://token.actions.githubusercontent.com","sub":"repo:o/r:ref:refs/heads/main","job_workflow_ref":"o/r/.github/workflows/ci.yml@refs/heads/main"}`,
			signing.Identity{Subject: "https://github.com/o/r/.github/workflows/ci.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"},
			"",
		},
		{
			"GitLab", `{"iss":"https://gitlab.com","sub":"project_path:g/p","ci_config_ref_uri":"gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main"}`,
			signing.Identity{Subject: "https://gitlab.com/g/p//.gitlab-ci.yml@refs/heads/main", Issuer: "https://gitlab.com"},
			"",
		},
		{
			"Sigstore login", `{"iss":"https://oauth2.sigstore.dev/auth","sub":"Cg","email":"a@example.com","email_verified":true,"federated_claims":{"connector_id":"https://github.com/login/oauth"}}`,
			signing.Identity{Subject: "a@example.com", Issuer: "https://github.com/login/oauth"},
			"",
		},
		{"other issuer", `{"iss":"https://spiffe.example","sub":"spiffe://example/x"}`, signing.Identity{Subject: "spiffe://example/x", Issuer: "https://spiffe.example"}, ""},
		{"no issuer", `{"sub":"x"}`, signing.Identity{}, "iss or sub is missing"},
		{"not an object", `[1]`, signing.Identity{}, "not a JSON object"},
		{"wrong type", `{"iss":1,"sub":"x"}`, signing.Identity{}, "not a JSON object of the right types"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := signing.ParseToken(fakeJWT(tt.claims), time.Now())
			if tt.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tt.wantErr) {
					t.Fatalf("error %v, want %q", err, tt.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Identity); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

func TestToken_expired(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	tests := []struct {
		name   string
		claims string
		after  time.Duration
		want   bool
	}{
		{"fresh", `"exp":1000300,"iat":1000000`, 299 * time.Second, false},
		{"over", `"exp":1000300,"iat":1000000`, 300 * time.Second, true},
		{"our clock is an hour behind", `"exp":1003900,"iat":1003600`, 300 * time.Second, true},
		{"over when it came", `"exp":999000`, 0, false},
		{"over when it came, later", `"exp":999000`, time.Second, true},
		{"no end", `"iat":1`, 24 * time.Hour, false},
	}
	for _, tt := range tests {
		tok, err := signing.ParseToken(fakeJWT(`{"iss":"i","sub":"s",`+tt.claims+`}`), now)
		if err != nil {
			t.Fatal(err)
		}
		if got := tok.Expired(now.Add(tt.after)); got != tt.want {
			t.Errorf("%s: expired after %s = %v, want %v", tt.name, tt.after, got, tt.want)
		}
	}
}

func TestToken_missingPermission(t *testing.T) {
	t.Parallel()
	c := signing.New(signing.Options{})
	for name, source := range map[string]signing.TokenSource{
		"neither":  signing.ActionsToken("", ""),
		"no token": signing.ActionsToken("https://x.example/?a=b", ""),
		"zero":     {},
	} {
		_, err := c.Token(t.Context(), source)
		e, ok := errors.AsType[*signing.Error](err)
		if !ok || e.Kind != signing.KindConfig || !strings.Contains(e.Hint(), `add "permissions: id-token: write" to the job`) {
			t.Errorf("%s: %v, want KindConfig with the hint", name, err)
		}
	}
}

func TestToken_endpointAnswers(t *testing.T) {
	t.Parallel()
	for body, wantTransient := range map[string]bool{
		`{}`: true, `{"value":""}`: true, `{"value":"x.y"}`: true, `null`: true, `{"value":1}`: true,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			l.OIDC.Fail(1, signingtest.Fault{Status: 200, Body: body})
			_, err := l.client.Token(t.Context(), l.source())
			if got := verdictOf(t, err); got.Transient != wantTransient {
				t.Errorf("%s: %v, transient = %v", body, err, got.Transient)
			}
		})
	}
}

// Whatever goes wrong and however it is printed: no token, no request token, no key.
func TestSecrets_neverPrinted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		raw, err := l.OIDC.Token()
		if err != nil {
			t.Fatal(err)
		}
		secrets := []string{raw, strings.Split(raw, ".")[1], strings.Split(raw, ".")[2], l.RequestToken()}
		token, err := l.client.Token(t.Context(), signing.StaticToken(raw))
		if err != nil {
			t.Fatal(err)
		}
		key, err := signing.NewKey()
		if err != nil {
			t.Fatal(err)
		}
		source := l.source()
		printed := []string{}
		for _, v := range []any{token, &token, source, struct{ T signing.Token }{token}, struct{ S signing.TokenSource }{source}} {
			printed = append(printed, fmt.Sprintf("%v %+v %#v %s", v, v, v, v))
		}
		// Servers that echo what they were sent.
		l.Fulcio.Fail(1, signingtest.Fault{Status: 403, Body: `{"message":"bad token ` + raw + `"}`})
		_, err = l.client.Certificate(t.Context(), l.services.Fulcio, key, token)
		printed = append(printed, fmt.Sprintf("%v %+v", err, err))
		l.OIDC.Fail(1, signingtest.Fault{Status: 500, ContentType: "text/plain", Body: "Authorization: Bearer " + l.RequestToken()})
		_, err = l.client.Token(t.Context(), source)
		printed = append(printed, fmt.Sprintf("%v %+v", err, err))
		l.OIDC.Fail(1, signingtest.Fault{Status: 200, Body: `{"value":"` + raw})
		_, err = l.client.Token(t.Context(), source)
		printed = append(printed, fmt.Sprintf("%v %+v", err, err))
		for _, p := range printed {
			for _, s := range secrets {
				if strings.Contains(p, s) {
					t.Errorf("a secret is printed: %s", p)
				}
			}
		}
	})
}

func FuzzParseToken(f *testing.F) {
	f.Add(fakeJWT(`{"iss":"i","sub":"s","exp":1e300,"iat":-1}`))
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, raw string) {
		tok, err := signing.ParseToken(raw, time.Unix(0, 0))
		if err == nil && (tok.Identity.Issuer == "" || tok.Identity.Subject == "") {
			t.Errorf("ParseToken(%q) has no identity", raw)
		}
	})
}

// Since July 2026 the subject claim of new repositories carries numeric ids; the
// certificate's subject is made of job_workflow_ref, which does not.
func TestParseToken_numericIDs(t *testing.T) {
	t.Parallel()
	claims := `{"iss":"https://token.actions.githubusercontent.com","sub":"repo:org@4711/app@815:ref:refs/heads/main","job_workflow_ref":"org/app/.github/workflows/release.yml@refs/heads/main"}`
	token, err := signing.ParseToken("e30."+base64.RawURLEncoding.EncodeToString([]byte(claims))+".e30", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := signing.Identity{Subject: "https://github.com/org/app/.github/workflows/release.yml@refs/heads/main", Issuer: "https://token.actions.githubusercontent.com"}
	if token.Identity != want {
		t.Errorf("identity %+v, want %+v", token.Identity, want)
	}
}
