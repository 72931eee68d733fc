// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package contract_test

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/contract"
)

// The stand-ins agree with the real registries, which run the same suite in e2e.
func TestStandIns(t *testing.T) {
	t.Parallel()
	const status, words = http.StatusMethodNotAllowed, "The operation is unsupported."
	off := &registrytest.Refusal{Status: status, Code: "UNSUPPORTED", Message: words}
	tagForm := &registrytest.Refusal{Status: http.StatusBadRequest, Code: "DIGEST_INVALID", Message: "provided digest did not match uploaded content"}
	fixed := func(string) bool { return true }
	hub := registrytest.NewDockerHub()
	for name, test := range map[string]struct {
		handler http.Handler
		want    contract.Registry
	}{
		"deletion on":          {registrytest.NewStore(registrytest.Rules{}), contract.Registry{DeletesTags: true, DeletesDigests: true}},
		"with referrers":       {registrytest.NewStore(registrytest.Rules{Referrers: true}), contract.Registry{DeletesTags: true, DeletesDigests: true}},
		"deletion off":         {registrytest.NewStore(registrytest.Rules{DeleteTag: off, DeleteDigest: off}), contract.Registry{}},
		"by digest only":       {registrytest.NewStore(registrytest.Rules{DeleteTag: off}), contract.Registry{DeletesDigests: true}},
		"registry:2":           {registrytest.NewStore(registrytest.Rules{DeleteTag: tagForm}), contract.Registry{DeletesDigests: true}},
		"immutable":            {registrytest.NewStore(registrytest.Rules{Immutable: fixed}), contract.Registry{Immutable: true}},
		"GHCR":                 {registrytest.NewGHCR("x").Registry, contract.Registry{}},
		"Docker Hub":           {hub.Unguarded(), contract.Registry{DeletesDigests: true, KeepsTagged: true}},
		"go-containerregistry": {registrytest.New(true), contract.Registry{DeletesTags: true, DeletesDigests: true, PutsTags: true}},
		"without referrers":    {registrytest.New(false), contract.Registry{DeletesTags: true, DeletesDigests: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := host.Open(t.Context(), registry.Options{Transport: registrytest.InProcess{"r.example.com": test.handler}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			test.want.Client, test.want.Name = c.Client, "r.example.com/org/app"
			contract.Run(t, test.want)
		})
	}
}

// TestReal runs the suite over running registries: $PUSHGUARD_CONTRACT lists them as
// HOST=WHAT, with what each offers in the words of [contract.Parse]. The end-to-end
// tests start them.
func TestReal(t *testing.T) {
	t.Parallel()
	list := strings.Fields(os.Getenv("PUSHGUARD_CONTRACT"))
	if len(list) == 0 {
		t.Skip("$PUSHGUARD_CONTRACT names no registry; make e2e does")
	}
	c, err := host.Open(t.Context(), registry.Options{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range list {
		t.Run(entry, func(t *testing.T) {
			name, offers, _ := strings.Cut(entry, "=")
			r, err := contract.Parse(offers)
			if err != nil {
				t.Fatal(err)
			}
			r.Client, r.Name = c.Client, name+"/contract/app"
			contract.Run(t, r)
		})
	}
}
