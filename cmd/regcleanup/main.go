// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command regcleanup undoes what a failed run published, and nothing else. See
// docs/regcleanup.md.
package main

import "github.com/LerianStudio/pushguard/pkg/command"

func main() { command.Main(newTool) }
