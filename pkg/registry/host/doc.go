// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package host holds what is known of each registry provider, one file for each.
package host
