// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "os"

// peak is not known on this system.
func peak(*os.ProcessState) float64 { return 0 }
