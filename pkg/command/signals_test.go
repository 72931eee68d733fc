// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package command_test

import (
	"context"
	"os"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/command"
)

func TestRun_signals(t *testing.T) {
	for sig, want := range map[syscall.Signal]ran{
		syscall.SIGINT:  {Code: 130, Err: "toy: error: interrupted\n"},
		syscall.SIGTERM: {Code: 143, Err: "toy: error: terminated\n"},
	} {
		got := toy(t, func(ctx context.Context, _ *command.Env) error {
			if err := syscall.Kill(os.Getpid(), sig); err != nil {
				return err
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		got.Parsed = parsed{}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sig, diff)
		}
	}
}
