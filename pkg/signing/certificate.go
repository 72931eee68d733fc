// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signing

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// Key is an ECDSA P-256 key that lives as long as the process and is never written.
type Key struct {
	pair *sign.EphemeralKeypair
}

// NewKey makes a key.
func NewKey() (*Key, error) {
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, refused(StageSignature, err)
	}
	return &Key{pair: pair}, nil
}

// String keeps the key out of every log.
func (*Key) String() string { return "signing key" }

// Certificate is a signing certificate from Fulcio with the key it is for.
type Certificate struct {
	Identity Identity // as written in it

	key    *Key
	der    []byte
	chain  []*x509.Certificate // what Fulcio sent behind the leaf: intermediates, root
	leaf   *x509.Certificate
	issued time.Time // when it was asked for, by this machine's clock
}

// Expired reports whether the certificate has run out, counted from when it
// was asked for: a wrong clock on this machine does not matter.
func (c *Certificate) Expired(now time.Time) bool {
	return now.Sub(c.issued) >= c.leaf.NotAfter.Sub(c.leaf.NotBefore)
}

// Certificate asks Fulcio for a certificate: one request. A token that ran out
// makes the answer KindExpired.
func (c *Client) Certificate(ctx context.Context, fulcioURL string, key *Key, token Token) (*Certificate, error) {
	k := call{stage: StageCertificate, service: fulcioURL, ok: []int{http.StatusOK}, json: true}
	var answer []byte // sigstore-go returns the leaf of it
	k.saw = func(body []byte) { answer = body }
	asked := time.Now()
	fulcio := sign.NewFulcio(&sign.FulcioOptions{
		BaseURL: strings.TrimRight(fulcioURL, "/"), Timeout: -1, Transport: c.transport(ctx, k),
	})
	der, err := fulcio.GetCertificate(ctx, key.pair, &sign.CertificateProviderOptions{IDToken: token.raw()})
	if err != nil {
		err = stageError(ctx, k, err)
		if e, ok := errors.AsType[*Error](err); ok && e.Kind == KindRefused {
			refusedCertificate(e, token)
		}
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, k.malformed(http.StatusOK, "not a certificate: "+err.Error())
	}
	if pub, ok := key.pair.GetPublicKey().(interface{ Equal(crypto.PublicKey) bool }); !ok || !pub.Equal(leaf.PublicKey) {
		return nil, k.malformed(http.StatusOK, "the certificate is for another key")
	}
	summary, err := certificate.SummarizeCertificate(leaf)
	if err != nil {
		return nil, k.malformed(http.StatusOK, "the certificate has no identity: "+err.Error())
	}
	return &Certificate{
		Identity: Identity{Subject: summary.SubjectAlternativeName, Issuer: summary.Issuer},
		key:      key, der: der, leaf: leaf, chain: chainOf(answer), issued: asked,
	}, nil
}

// chainOf returns the certificates behind the leaf in Fulcio's answer (API v2,
// SigningCertificate). What cannot be read is left out: the leaf has been checked.
func chainOf(answer []byte) []*x509.Certificate {
	type withChain struct {
		Chain struct {
			Certificates []string `json:"certificates"`
		} `json:"chain"`
	}
	var a struct {
		Embedded withChain `json:"signedCertificateEmbeddedSct"`
		Detached withChain `json:"signedCertificateDetachedSct"`
	}
	if json.Unmarshal(answer, &a) != nil {
		return nil
	}
	var chain []*x509.Certificate
	for i, text := range append(a.Embedded.Chain.Certificates, a.Detached.Chain.Certificates...) {
		block, _ := pem.Decode([]byte(text))
		if i == 0 || block == nil {
			continue
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil {
			chain = append(chain, c)
		}
	}
	return chain
}

// intermediates are the certificates that a verifier needs and does not have:
// none where the trust root knows the authority's, as that of the public
// instance does.
func (c *Certificate) intermediates(trust *Trust) []*x509.Certificate {
	for _, authority := range trust.material.FulcioCertificateAuthorities() {
		if _, err := authority.Verify(c.leaf, c.leaf.NotBefore); err == nil {
			return nil
		}
	}
	return slices.DeleteFunc(slices.Clone(c.chain), func(i *x509.Certificate) bool { return bytes.Equal(i.RawIssuer, i.RawSubject) })
}

// pem is the leaf as Rekor v1 and legacy signatures have it.
func (c *Certificate) pem() []byte { return encodePEM(c.der) }

// chainPEM is all that Fulcio sent behind the leaf, root included, as legacy signatures have it.
func (c *Certificate) chainPEM() []byte {
	var b []byte
	for _, i := range c.chain {
		b = append(b, encodePEM(i.Raw)...)
	}
	return b
}

func encodePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// refusedCertificate tells a token that ran out, which a new one cures, from one that is not accepted.
func refusedCertificate(e *Error, token Token) {
	if e.Status == http.StatusBadRequest || e.Status == http.StatusUnauthorized {
		if token.Expired(time.Now()) {
			e.Kind, e.Advice = KindExpired, "the identity token has run out: get a new one"
			return
		}
	}
	if e.Advice == "" {
		e.Advice = fmt.Sprintf("check that this certificate authority accepts tokens of %s with audience %q", token.Identity.Issuer, Audience)
	}
}
