// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const (
	faultTimes = 3 // how often each fault strikes
	// silence is longer than signretry waits for an answer here, and that is longer
	// than any answer takes on a machine that has a lot to do.
	silence = 6 * time.Second
	timeout = "--timeout=4s"
	// signerLimit ends one that would wait for ever.
	signerLimit = 2 * time.Minute
)

// struck are the services that are broken, each with the requests that are.
var struck = []struct {
	name         string
	log          func() stack.Log
	method, path string
	gateway      func(needy) *stack.Gateway
}{
	{"Fulcio", rekorV1, "POST", "/api/", func(n needy) *stack.Gateway { return n.fulcio }},
	{"timestamp authority", rekorV1, "POST", "/api/", func(n needy) *stack.Gateway { return n.tsa }},
	{"Rekor v1", rekorV1, "POST", "/api/", func(n needy) *stack.Gateway { return n.rekor }},
	{"Rekor v2", rekorV2, "POST", "/api/", func(n needy) *stack.Gateway { return n.rekor }},
	{"registry, read", rekorV1, "GET", "/v2/org/app/", func(n needy) *stack.Gateway { return n.registry }},
	{"registry, upload", rekorV1, "PUT", "/v2/org/app/blobs/", func(n needy) *stack.Gateway { return n.registry }},
	{"registry, manifest", rekorV1, "PUT", "/v2/org/app/manifests/", func(n needy) *stack.Gateway { return n.registry }},
}

func rekorV1() stack.Log { return e2e.RekorV1 }
func rekorV2() stack.Log { return e2e.RekorV2 }

var strikes = []struct {
	name   string
	effect stack.Effect
}{
	{"503", stack.Status(http.StatusServiceUnavailable)},
	{"429, Retry-After: 1", stack.RetryAfter(http.StatusTooManyRequests, 1)},
	{"connection reset", stack.Reset()},
	{"answer lost, 502", stack.Lost(http.StatusBadGateway)},
	{"answer truncated", stack.Truncated()},
	{"HTML with 200", stack.HTML()},
	{"silence, then cut", stack.Silent(silence)},
}

// TestFaults breaks each service in each way three times in a row. What signretry
// makes of it is as docs/faults-real.md says; "make faults" writes that page, and
// then the cosigns run beside signretry.
func TestFaults(t *testing.T) {
	t.Parallel()
	page := faultsPage(t)
	host := start(t, e2e.Olareg)
	for _, service := range struck {
		for _, strike := range strikes {
			row := service.name + " | " + strike.name
			page.reserve(t, tableFaults, row)
			t.Run(service.name+"/"+strike.name, func(t *testing.T) {
				t.Parallel()
				for _, signer := range page.signers() {
					if signer == signers[2] && service.log().Version == 2 {
						page.note(t, tableFaults, row, signer, "does not sign with it")
						continue
					}
					n := newNeedy(t, service.log(), host)
					service.gateway(n).Break(stack.Fault{
						Method: service.method, Path: service.path, Times: faultTimes, Effect: strike.effect,
					})
					res := n.attempt(t, signer)
					said := outcome(res, n.certificates(), n.entries())
					if res.Code == 0 && !n.signed(t, signer) {
						said = "**exit 0, and not signed**" + strings.TrimPrefix(said, "signed")
					}
					page.note(t, tableFaults, row, signer, said)
				}
			})
		}
	}
}

// needy is a job with an image to sign, in a registry behind a gateway.
type needy struct {
	job

	registry      *stack.Gateway
	image, direct string // behind the gateway, and not
}

func newNeedy(t *testing.T, log stack.Log, host string) needy {
	t.Helper()
	const repository = "/org/app"
	n := needy{job: newJobOn(t, log), registry: gateway(t, "http://"+host)}
	at := repository + "@" + push(t, newImage(t), host+repository+":latest")
	n.image, n.direct = n.registry.Host+at, host+at
	return n
}

// signing is the command with which signer signs the image.
func (n needy) signing(t *testing.T, signer string) process.Command {
	t.Helper()
	var c stack.Cosign
	switch signer {
	case signers[0]:
		return n.command(t, "signretry", n.signArgs(timeout, n.image)...)
	case signers[1]:
		c = e2e.Cosign3()
	default:
		c = e2e.Cosign2()
	}
	return c.Command(n.Env(), c.SignArgs(n.config, n.endpoints, n.image)...)
}

func (n needy) attempt(t *testing.T, signer string) process.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), signerLimit)
	defer cancel()
	res, err := process.Run(ctx, n.signing(t, signer), nil)
	switch {
	case ctx.Err() != nil && t.Context().Err() == nil:
		res = process.Result{Code: -1, Stderr: "still at it after " + signerLimit.String()}
	case err != nil:
		t.Error(err)
	}
	t.Logf("%s: exit %d after %.1f s\n%s", signer, res.Code, res.Took.Seconds(), res.Stderr)
	return res
}

// signed is the verdict on what signer wrote.
func (n needy) signed(t *testing.T, signer string) bool {
	t.Helper()
	judge := e2e.BundleJudges()[0]
	if signer == signers[2] {
		judge = e2e.LegacyJudges()[0]
	}
	res, err := judge.Verify(t.Context(), n.Identity, n.direct)
	if err != nil {
		t.Fatal(err)
	}
	return res.Code == 0
}

// outcome says what became of a signing.
func outcome(res process.Result, certificates, entries int) string {
	counts := plural(certificates, "certificate", "certificates") + ", " + plural(entries, "entry", "entries")
	if res.Code == 0 {
		return "signed: " + counts
	}
	return "**not signed**: " + counts + "; " + lastError(res.Stderr)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
