// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/e2e/process"
)

// trillian is a log server with its signer, on a database of its own: a signer
// sees to all the trees of its database, at one pace.
type trillian struct {
	name  string
	port  string   // of the log server
	trees []string // their numbers
}

// startTrillian starts a log server with some trees, and a signer that integrates
// what was queued once every interval. The trees come first: a signer learns of
// new ones at its next turn.
func (s *Stack) startTrillian(ctx context.Context, name string, interval time.Duration, trees int) (*trillian, error) {
	uri, err := s.postgres.create(ctx, name, filepath.Join(s.tools.Trillian, "storage", "postgresql", "schema", "storage.sql"))
	if err != nil {
		return nil, fmt.Errorf("make the database %s: %w", name, err)
	}
	_, ports, err := addresses(ctx, 4)
	if err != nil {
		return nil, err
	}
	t := &trillian{name: name, port: ports[0]}
	common := []string{"--storage_system=postgresql", "--quota_system=noop", "--postgresql_uri=" + uri, "--logtostderr"}
	if err := s.serve(ctx, process.Command{
		Name: name + "-server", Path: "trillian_log_server",
		Args: append([]string{"--rpc_endpoint=127.0.0.1:" + ports[0], "--http_endpoint=127.0.0.1:" + ports[1]}, common...),
	}, "http://127.0.0.1:"+ports[1]+"/healthz"); err != nil {
		return nil, err
	}
	for range trees {
		tree, err := s.tree(ctx, t)
		if err != nil {
			return nil, err
		}
		t.trees = append(t.trees, tree)
	}
	return t, s.serve(ctx, process.Command{
		Name: name + "-signer", Path: "trillian_log_signer",
		Args: append([]string{
			"--rpc_endpoint=127.0.0.1:" + ports[2], "--http_endpoint=127.0.0.1:" + ports[3],
			"--force_master", "--sequencer_interval=" + interval.String(), "--batch_size=1000",
		}, common...),
	}, "http://127.0.0.1:"+ports[3]+"/healthz")
}

// tree makes a log and returns its number.
func (s *Stack) tree(ctx context.Context, t *trillian) (string, error) {
	res, err := process.Run(ctx, process.Command{
		Name: "createtree", Path: filepath.Join(s.tools.Servers, "createtree"), Env: s.Env(), Dir: s.dir,
		Args: []string{"--admin_server=127.0.0.1:" + t.port},
	}, nil)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("exit %d: %s", res.Code, res.Stderr)
	}
	if err != nil {
		return "", fmt.Errorf("make a tree on %s: %w", t.name, err)
	}
	return strings.TrimSpace(res.Stdout), nil
}
