// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package simulation has no code of its own: its tests run the whole chain (check,
// build and push, sign, name, GitOps, clean-up) with the real packages in a simulated
// world, in virtual time, and one seed decides everything that goes wrong in it.
// docs/simulation.md says what is simulated and what is checked.
package simulation
