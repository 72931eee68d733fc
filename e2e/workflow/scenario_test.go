// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"testing"
)

func TestFirstRun(t *testing.T) {
	t.Parallel()
	r := newTeam(t)
	got := r.release(t, "moving_tags: latest", "enable_gitops_artifacts: true", "enable_helm_dispatch: true", "helm_repository: org/helm")
	t.Log(got.failed, got.outputs)
}
