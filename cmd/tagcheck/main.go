// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command tagcheck looks before a build whether the tags that it will publish
// exist. See docs/tagcheck.md.
package main

import "github.com/LerianStudio/pushguard/pkg/command"

func main() { command.Main(newTool) }
