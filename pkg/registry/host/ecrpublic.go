// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host

// ecrPublic is Amazon's public registry.
var ecrPublic = &Host{
	Name:       "Amazon ECR Public",
	Hosts:      []string{"public.ecr.aws"},
	Challenges: true,
	Rights: "log in again, a login lasts 12 hours: aws ecr-public get-login-password --region us-east-1 | docker login --username AWS --password-stdin public.ecr.aws; " +
		"the role needs ecr-public:PutImage on {repository}",
	DeleteRights: "the role needs ecr-public:BatchDeleteImage on {repository}",
	Undo:         "aws ecr-public batch-delete-image --region us-east-1 --repository-name {rest} --image-ids imageTag={tag}",
	Create:       "aws ecr-public create-repository --region us-east-1 --repository-name {rest}",
	Meanings:     ecrMeanings,
	Notes:        "Its list of tags can be a 404 for a repository that has tags, so nothing is deleted by digest there.",
}
