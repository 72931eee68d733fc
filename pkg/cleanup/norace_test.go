// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package cleanup_test

const histories = 100_000
