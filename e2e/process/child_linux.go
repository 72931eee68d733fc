// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// attributes run the child as c.User. They have the kernel end a server when the
// tests die unstopped; that is bound to the thread that forks, so it is only for
// those who keep their thread.
func attributes(c Command, server bool) (*syscall.SysProcAttr, error) {
	a := &syscall.SysProcAttr{}
	if server {
		a.Pdeathsig = c.end()
	}
	if c.User == "" {
		return a, nil
	}
	u, err := user.Lookup(c.User)
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", c.User, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", c.User, err)
	}
	a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return a, nil
}

// Peak is the most memory that an ended process had, in bytes.
func Peak(p *os.ProcessState) int64 {
	if usage, ok := p.SysUsage().(*syscall.Rusage); ok {
		return usage.Maxrss << 10 // Linux counts KiB
	}
	return 0
}
