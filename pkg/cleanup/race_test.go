// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package cleanup_test

// The race detector makes a history ten times as slow: "make test" runs all of them
// without it as well.
const histories = 4_000
