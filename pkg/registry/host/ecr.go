// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

import (
	"net/http"

	"github.com/LerianStudio/pushguard/pkg/registry"
)

// ecr is Amazon's private registry.
var ecr = &Host{
	Name:       "Amazon ECR",
	Recognize:  func(seen http.Header) bool { return challenge(seen, "service") == "ecr.amazonaws.com" },
	Hosts:      []string{".amazonaws.com", ".amazonaws.com.cn"},
	Challenges: true,
	Rights: "log in again, a login lasts 12 hours: aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {host}; " +
		"the role needs ecr:BatchGetImage and, to push, ecr:PutImage on {repository}",
	DeleteRights: "the role needs ecr:BatchDeleteImage on {repository}; a login lasts 12 hours: aws ecr get-login-password --region {region} | docker login --username AWS --password-stdin {host}",
	Undo:         ecrUndo,
	Unlock:       "aws ecr put-image-tag-mutability --region {region} --repository-name {repository} --image-tag-mutability MUTABLE",
	Create:       "aws ecr create-repository --region {region} --repository-name {repository} (not needed where a repository creation template covers it)",
	Meanings:     ecrMeanings,
	Notes:        "A login lasts 12 hours.",
}

const ecrUndo = "aws ecr batch-delete-image --region {region} --repository-name {repository} --image-ids imageTag={tag}"

// ecrMeanings hold for both registries of Amazon.
var ecrMeanings = []Meaning{
	{To: registry.RequestWrite, Code: "TAG_INVALID", Words: "already exists", Kind: registry.KindImmutable},
	{To: registry.RequestWrite, Words: "imagetagalreadyexists", Kind: registry.KindImmutable},
	{To: registry.RequestDelete, Words: "referenced by manifest list", Kind: registry.KindReferenced},
	{To: registry.RequestWrite, Words: "limitexceeded", Kind: registry.KindForbidden, Next: quota},
	{Words: "rate exceeded", Kind: registry.KindRateLimit},
	{Words: "throttling", Kind: registry.KindRateLimit},
	{Words: "ecr:batchdeleteimage", Kind: registry.KindAuth},
	{Words: "explicit deny", Kind: registry.KindForbidden, Next: "a policy of the AWS organization, the repository or the role denies it: the registry's words name the action; no login helps"},
	{Words: "vpc endpoint policy", Kind: registry.KindForbidden, Next: "the VPC endpoint's policy denies it: the registry's words name the action; no login helps"},
	{Words: "authorization token", Kind: registry.KindAuth}, // it has expired, or is invalid
	{Words: "no basic auth credentials", Kind: registry.KindAuth},
}
