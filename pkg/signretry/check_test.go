// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signretry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/contract"
	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// A check reads what Run would read, writes nothing and asks for no token. An outage of
// the registry is outlasted, or unknown; a missing image is not waited for.
func TestCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, 1)
		one, two := l.push(withReferrers+"/org/a", "a"), l.push(withoutReferrers+"/org/b", "b")
		gone := one.WithDigest("sha256:" + strings.Repeat("0", 64))
		l.run(t.Context(), one)
		before := l.counts()
		writes := l.registry.writes()
		l.opts.Signers = signing.Signers{Subject: l.OIDC.Subject(), Issuer: signingtest.Issuer}
		l.opts.Token = signing.TokenSource{}
		l.registry.reads.Fail(3, signingtest.Fault{Status: 503})

		start := time.Now()
		rep := signretry.Check(t.Context(), []registry.Reference{one, two, gone}, l.opts)
		want := []signretry.Status{signed, signretry.Unsigned, signretry.Missing}
		if diff := cmp.Diff(want, statuses(rep)); diff != "" {
			t.Errorf("statuses (-want +got):\n%s", diff)
		}
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %s: it waited for what is not there", took)
		}
		if diff := cmp.Diff(before, l.counts()); diff != "" || l.registry.writes() != writes {
			t.Errorf("the check wrote or asked for something (-want +got):\n%s", diff)
		}

		// Without the signers they are those of the token.
		l.opts.Signers, l.opts.Token = signing.Signers{}, signing.ActionsToken(l.TokenURL(), l.RequestToken())
		if diff := cmp.Diff(want, statuses(signretry.Check(t.Context(), []registry.Reference{one, two, gone}, l.opts))); diff != "" {
			t.Errorf("by the token: statuses (-want +got):\n%s", diff)
		}
		l.OIDC.SetWorkflow("other/app/.github/workflows/a.yml@refs/heads/main")
		if got := statuses(signretry.Check(t.Context(), []registry.Reference{one}, l.opts)); got[0] != signretry.Unsigned {
			t.Errorf("by another token: %v", got)
		}
	})
}

// What a check could not read leaves open whether the image is signed.
func TestCheck_unknown(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		spoil func(l *lab, image registry.Reference)
		want  string
	}{
		"the registry is down":  {func(l *lab, _ registry.Reference) { l.registry.reads.Fail(-1, signingtest.Fault{Status: 503}) }, "gave up after 10 attempts"},
		"referrers are refused": {func(l *lab, _ registry.Reference) { l.refuse("/referrers/") }, "403"},
		"a bundle is refused":   {func(l *lab, _ registry.Reference) { l.refuse("/blobs/") }, "403"},
		"too many": {func(l *lab, image registry.Reference) {
			for i := range 101 {
				l.attachJunk(image, i)
			}
		}, "the image has 101 signatures and none of the 100 that were read is the one looked for"},
		"no trust root": {func(l *lab, _ registry.Reference) { l.opts.Services.TrustedRoot = "none" }, "read trusted root none"},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := newLab(t, 1)
			image := l.push(withReferrers+"/org/a", "a")
			if !strings.HasPrefix(name, "too many") {
				l.run(t.Context(), image)
			}
			l.opts.Signers = signing.Signers{Subject: l.OIDC.Subject(), Issuer: signingtest.Issuer}
			tt.spoil(l, image)
			res := signretry.Check(t.Context(), []registry.Reference{image}, l.opts).Results[0]
			if res.Status != signretry.Unknown || !strings.Contains(res.Err.Error(), tt.want) {
				t.Errorf("%s: %s, %v, want unknown with %q", name, res.Status, res.Err, tt.want)
			}
		})
	}
}

// refuse answers reads of paths that contain part with 403.
func (l *lab) refuse(part string) {
	l.registry.intercept = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, part) {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"errors":[{"code":"DENIED","message":"denied"}]}`))
		return true
	}
}

// attachJunk attaches a manifest that says it is a bundle, and is none.
func (l *lab) attachJunk(image registry.Reference, i int) {
	l.t.Helper()
	d, err := l.opts.Registry.Head(l.t.Context(), image)
	if err != nil {
		l.t.Fatal(err)
	}
	config, err := l.opts.Registry.PutBlob(l.t.Context(), image, []byte(signing.EmptyConfig))
	if err != nil {
		l.t.Fatal(err)
	}
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"artifactType":%q,"config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":%d},"annotations":{"n":"%d"}}`,
		signing.ReferrerMediaType, signing.BundleMediaType, config.Digest, d.MediaType, d.Digest, d.Size, i)
	if _, err := contract.Attach(l.t.Context(), l.client, image, signing.ReferrerMediaType, []byte(raw)); err != nil {
		l.t.Fatal(err)
	}
}
