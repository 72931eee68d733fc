// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"github.com/LerianStudio/pushguard/pkg/registry"
)

// acr is Azure Container Registry.
var acr = &Host{
	Name:         "Azure Container Registry",
	Hosts:        []string{".azurecr.io", ".azurecr.cn", ".azurecr.us"},
	Challenges:   true,
	Rights:       "az acr login --name {account}, with an account that has the role AcrPush for {repository}",
	DeleteRights: "az acr login --name {account}, with an account that has the role AcrDelete for {repository}",
	Undo:         "az acr repository untag --name {account} --image {repository}:{tag}",
	Unlock: "az acr repository update --name {account} --image {repository}:{tag} --delete-enabled true --write-enabled true; " +
		"the lock can also be on the image (--image {repository}@{digest}) or on the repository (--repository {repository})",
	Meanings: []Meaning{
		{Words: "aka.ms/acr/firewall", Own: true, Kind: registry.KindForbidden, Next: acrFirewall},
		{Words: "is not allowed access", Kind: registry.KindForbidden, Next: acrFirewall},
		{Words: "public network access", Kind: registry.KindForbidden, Next: acrFirewall},
		{Words: "size limit of storage", Kind: registry.KindForbidden, Next: quota},
		{To: registry.RequestWrite, Code: "REGISTRY_DISALLOWED_OPERATION", Own: true, Kind: registry.KindImmutable, ByHand: acrDisallowed},
		{To: registry.RequestDelete, Code: "REGISTRY_DISALLOWED_OPERATION", Own: true, Kind: registry.KindImmutable, ByHand: acrDisallowed},
		{To: registry.RequestRead, Words: "quarantine", Kind: registry.KindUnreadable, Next: "the image exists and is in quarantine: an account with the role AcrQuarantineReader may read it"},
	},
	Notes: "Does not delete a tag by the specification; a lock can be on the tag, the image or the repository.",
}

const (
	acrFirewall = "the registry's firewall does not let this machine in: az acr network-rule add --name {account} --ip-address ADDRESS, or run this inside the network that is allowed"
	// The same code is sent when the registry's storage is used up.
	acrDisallowed = "az acr repository update --name {account} --image {repository}:{tag} --delete-enabled true --write-enabled true; " +
		"the lock can also be on the image (--image {repository}@{digest}) or on the repository (--repository {repository}), " +
		"and the registry can have reached its storage limit (az acr show-usage --name {account}); then run regcleanup again"
)
