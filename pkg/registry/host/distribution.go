// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// distribution is the CNCF's registry, also known as registry:2 and registry:3.
var distribution = &Host{
	Name: "distribution",
	// Many others send this header: it is asked for last.
	Recognize: func(seen http.Header) bool {
		return seen.Get("Docker-Distribution-Api-Version") == "registry/2.0" && seen.Get("X-Content-Type-Options") == "nosniff"
	},
	Undo: "allow deletions at {host} (storage, delete, enabled: true) and run regcleanup again, or: crane delete {ref}",
	Meanings: []Meaning{
		// registry:2 takes the tag for a digest (measured with 2.8.3).
		{
			To: registry.RequestDelete, Status: http.StatusBadRequest, Code: "DIGEST_INVALID", Own: true, Kind: registry.KindUnsupported,
			ByHand: "registry:2 deletes no tag alone, only an image with all its tags: move or delete what else has {digest}, then run regcleanup again; registry:3 deletes a tag alone",
		},
		{To: registry.RequestDelete, Code: "UNSUPPORTED", Kind: registry.KindUnsupported},
	},
	Real:  "2.8.3 and 3",
	Notes: "Version 2 deletes by digest only; deletions are off unless they are configured.",
}
