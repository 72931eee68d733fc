// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"regexp"
	"strings"
)

// signatureTag is a tag that holds what hangs on a digest: the fallback tag of its
// referrers (distribution specification, "Referrers Tag Schema"), or cosign's.
var signatureTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}(\.[a-z]+)?$`)

// atSignatureTag makes a refusal name the tag that was really written: a client
// that attaches something by digest writes the fallback tag behind it.
func (e *Error) atSignatureTag(a answer) {
	_, tag, ok := strings.Cut(a.path, "/manifests/")
	if ok && signatureTag.MatchString(tag) {
		e.Ref = e.Ref.WithTag(tag)
	}
}

// explainImmutable says of a signature's tag that cannot be moved why that is and
// what to do: signatures are added to it, so it has to be left out of the rule.
func (c *Client) explainImmutable(ctx context.Context, err error) error {
	e, ok := asError(err)
	if !ok || e.Kind != KindImmutable || !signatureTag.MatchString(e.Ref.Tag) {
		return err
	}
	rule := "the registry's rule for immutable tags"
	if e.Ref.Registry == DockerHub {
		if r, err := c.hub.Repository(ctx, e.Ref); err == nil {
			if _, pattern := r.Immutable(e.Ref.Tag); pattern != "" {
				rule = fmt.Sprintf("the rule %q for immutable tags (repository settings, General)", pattern)
			}
		}
	}
	e.Next = fmt.Sprintf("the tag %s holds the image's signatures and exists already; to add one, %s must leave out tags that begin with sha256-", e.Ref.Tag, rule)
	return e
}
