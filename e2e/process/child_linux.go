// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package process

import "syscall"

// dieWithParent has the kernel kill the child when the tests die unstopped.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
