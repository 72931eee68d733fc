// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package process

import (
	"fmt"
	"os"
	"syscall"
)

// attributes are none here: only Linux can tie a child to its parent, and only
// there do the tests need another user.
func attributes(c Command, _ bool) (*syscall.SysProcAttr, error) {
	if c.User != "" {
		return nil, fmt.Errorf("run as %s: not supported on this system", c.User)
	}
	return nil, nil //nolint:nilnil // no attributes are the default
}

// Peak is not known here.
func Peak(*os.ProcessState) int64 { return 0 }
