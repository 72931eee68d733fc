// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !race

package simulation_test

const everyRun = 1_200
