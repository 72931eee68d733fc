// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/command/commandtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tagcheck": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	commandtest.Run(t, commandtest.Script{Name: "tagcheck"})
}
