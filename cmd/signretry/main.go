// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Signretry signs container images with Sigstore and keeps at it until the
// signature holds.
package main

import "github.com/LerianStudio/pushguard/pkg/command"

func main() { command.Main(newTool) }
