// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"
	"strings"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// zot is zot.
var zot = &Host{
	Name: "zot",
	Recognize: func(seen http.Header) bool {
		return strings.Contains(strings.ToLower(seen.Get("Server")), "zot") || strings.Contains(challenge(seen, "realm"), "zot") || challenge(seen, "service") == "zot"
	},
	Meanings: []Meaning{
		// What an index has, zot does not delete; other registries answer so for no reason.
		{To: registry.RequestDelete, Status: http.StatusMethodNotAllowed, Code: "DENIED", Own: true, Kind: registry.KindReferenced},
		{To: registry.RequestDelete, Status: http.StatusConflict, Kind: registry.KindReferenced},
	},
	Notes: "Deletes tags by the specification, and no manifest that an index has.",
}
