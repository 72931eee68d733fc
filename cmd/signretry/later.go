// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/signing"
	"github.com/LerianStudio/pushguard/pkg/signretry"
)

// commandLine is the command that signs what is not signed yet, as a person types it.
func (a *app) commandLine(failures []signretry.Result) string {
	words := []string{"signretry"}
	for _, f := range []struct{ name, value string }{
		{"trusted-root", a.services.TrustedRoot},
		{"signing-config", a.services.SigningConfig},
		{"tuf-url", a.services.TUFURL},
		{"tuf-root", a.services.TUFRoot},
		{"fulcio-url", a.services.FulcioURL},
		{"rekor-url", a.services.RekorURL},
		{"timestamp-url", a.services.TimestampURL},
		{"identity-token-file", a.identity.tokenFile},
		{"oidc-issuer", a.identity.issuer},
		{"oidc-client-id", a.identity.clientID},
		{"record", a.tool.Common.Record},
	} {
		if f.value != "" {
			words = append(words, quote("--"+f.name+"="+f.value))
		}
	}
	if a.tool.Common.Record != "" {
		words = append(words, "--any-run") // where it is typed is no part of this run
	}
	if a.identity.login != loginAuto {
		words = append(words, "--login="+a.identity.login)
	}
	for _, annotation := range a.annotations {
		words = append(words, quote("--annotation="+annotation))
	}
	if a.format != string(signing.FormatBundle) {
		words = append(words, "--format="+a.format)
	}
	if a.recursive {
		words = append(words, "--recursive")
	}
	if a.rekorVersion != 0 {
		words = append(words, fmt.Sprintf("--rekor-version=%d", a.rekorVersion))
	}
	for _, f := range failures {
		if word := quote(f.Ref.String()); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, " ")
}

// quote quotes for a POSIX shell where that is needed.
func quote(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./:=@,+%", r)
	}
	if strings.ContainsFunc(word, func(r rune) bool { return !plain(r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
