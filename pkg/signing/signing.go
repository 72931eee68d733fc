// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package signing makes and verifies keyless Sigstore signatures of container
// images, one stage at a time, so that a caller can repeat the stage that
// failed and keep what the others have won:
//
//	Load → Token → Certificate → Draft → Stamp → Submit, Await → Finish → Referrer
//
// No function retries. Errors of services are *Error, which says whether the
// same call may succeed later.
package signing

import (
	"log/slog"
	"net/http"
	"time"
)

// What cosign 3 writes and verifiers of images look for.
const (
	PredicateType   = "https://sigstore.dev/cosign/sign/v1"
	BundleMediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// Options configure a Client. The zero value works.
type Options struct {
	Transport http.RoundTripper // nil = a clone of http.DefaultTransport
	Timeout   time.Duration     // of one request with its answer; 0 = none
	Logger    *slog.Logger      // nil = silent
	Cache     string            // folder of TUF's files; "" = .sigstore/root in the user's home, as other clients of sigstore-go
}

// Client talks to Sigstore's services. It is safe for concurrent use.
type Client struct{ options Options }

// New returns a Client.
func New(opts Options) *Client {
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport.(*http.Transport).Clone()
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{opts}
}
