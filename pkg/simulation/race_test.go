// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build race

package simulation_test

// The race detector makes a seed several times as slow: "make test" runs all of them
// without it as well.
const everyRun = 100
