// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// generic is a registry of a kind that is not known. Its meanings hold for every
// registry whose own do not match: they are what refusals of all kinds have in common.
var generic = &Host{
	Name:         "other registries",
	DeleteRights: "docker login {host} with an account that may delete in {repository}",
	Undo:         "crane delete {ref}",
	Real:         "olareg, cue's ociregistry",
	Notes:        "Read by the specification alone, and by what refusals of all registries have in common.",
	Meanings: []Meaning{
		// A server in maintenance refuses what it will take again.
		{Words: "read-only mode", Kind: registry.KindOutage, Next: maintenance},
		{Words: "read only mode", Kind: registry.KindOutage, Next: maintenance},
		{Words: "currently read-only", Kind: registry.KindOutage, Next: maintenance},
		{Words: "maintenance", Kind: registry.KindOutage, Next: maintenance},
		// A throttled request passes, whatever its status.
		{Status: http.StatusTooManyRequests, Kind: registry.KindRateLimit},
		{Code: "TOOMANYREQUESTS", Kind: registry.KindRateLimit},
		{Words: "rate exceeded", Kind: registry.KindRateLimit},
		{Words: "too many requests", Kind: registry.KindRateLimit},
		// Space that is used up comes back when something is deleted, by a person.
		{To: registry.RequestWrite, Words: "quota", Kind: registry.KindForbidden, Next: quota},
		{To: registry.RequestWrite, Words: "storage limit", Kind: registry.KindForbidden, Next: quota},
		// A tag that stays as it is.
		{To: registry.RequestWrite, Words: "immutab", Kind: registry.KindImmutable},
		{To: registry.RequestDelete, Words: "immutab", Kind: registry.KindImmutable},
		{To: registry.RequestAPI, Words: "immutab", Kind: registry.KindImmutable},
		{Words: "cannot be overwritten", Kind: registry.KindImmutable},
		{Words: "not allow updating", Kind: registry.KindImmutable},
		{To: registry.RequestWrite, Words: "cannot overwrite tag", Kind: registry.KindImmutable},        // CUE's, as 403 DENIED
		{To: registry.RequestDelete, Words: "tag deletion not permitted", Kind: registry.KindImmutable}, // the same
		{To: registry.RequestWrite, Words: "protected tag", Kind: registry.KindImmutable},
		{To: registry.RequestDelete, Words: "protected tag", Kind: registry.KindImmutable},
		{To: registry.RequestDelete, Words: "tag is protected", Kind: registry.KindImmutable},
		{To: registry.RequestWrite, Words: "tag is protected", Kind: registry.KindImmutable},
		// An image that something else has.
		{To: registry.RequestDelete, Words: "referenced", Kind: registry.KindReferenced},
		{To: registry.RequestDelete, Words: "dangling", Kind: registry.KindReferenced},
		{To: registry.RequestDelete, Words: "deletion of tagged manifest", Kind: registry.KindReferenced}, // CUE's, as 403 DENIED
		{To: registry.RequestDelete, Status: http.StatusConflict, Kind: registry.KindReferenced},
		// A network between us and the registry.
		{Status: http.StatusProxyAuthRequired, Kind: registry.KindNotARegistry, Next: "a proxy wants a login of its own: put user and password into HTTPS_PROXY"},
		{Words: "ip allow list", Kind: registry.KindForbidden, Next: allowList},
		{Words: "ip address is not allowed", Kind: registry.KindForbidden, Next: allowList},
		{Words: "firewall", Kind: registry.KindForbidden, Next: allowList},
		{Status: http.StatusForbidden, Words: "error code: 10", Kind: registry.KindForbidden, Next: "the network in front of the service refuses this machine or this client (Cloudflare), and no login helps: run it from another machine, or later"},
		{Words: "zscaler", Kind: registry.KindNotARegistry},
		// Absence in words of their own: Harbor, Artifactory.
		{To: registry.RequestRead, Status: http.StatusNotFound, Code: "NOT_FOUND", Kind: registry.KindNotFound},
		{To: registry.RequestDelete, Status: http.StatusNotFound, Code: "NOT_FOUND", Kind: registry.KindNotFound},
		// What exists, and is not given to who asks.
		{To: registry.RequestRead, Status: http.StatusPreconditionFailed, Kind: registry.KindUnreadable},
		{To: registry.RequestRead, Status: http.StatusNotFound, Words: "client accepts", Kind: registry.KindUnreadable, Next: unaccepted},
		{To: registry.RequestRead, Status: http.StatusNotFound, Words: "accept header", Kind: registry.KindUnreadable, Next: unaccepted},
		// Deletions that are not offered in this form.
		{To: registry.RequestDelete, Status: http.StatusBadRequest, Code: "DENIED", Kind: registry.KindAuth},
		{To: registry.RequestDelete, Status: http.StatusBadRequest, Code: "UNAUTHORIZED", Kind: registry.KindAuth},
		{To: registry.RequestDelete, Status: http.StatusBadRequest, Kind: registry.KindUnsupported},
		{To: registry.RequestDelete, Status: http.StatusNotAcceptable, Kind: registry.KindUnsupported},
		{To: registry.RequestDelete, Status: http.StatusPreconditionFailed, Kind: registry.KindImmutable},
		{To: registry.RequestWrite, Status: http.StatusPreconditionFailed, Kind: registry.KindImmutable},
	},
}

const (
	maintenance = "the registry takes no changes at the moment: run it again when it does"
	unaccepted  = "the tag exists and names something in a format that is not an image's, or is too old: look at it with crane manifest {ref}"
	quota       = "the registry has no room left for {repository}: delete what is not needed, or have the limit raised"
	allowList   = "{host} does not accept this machine's address: add it to the list of allowed addresses, or run this inside the network that is allowed; another login does not help"
)
