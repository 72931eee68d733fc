// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"

	"github.com/LerianStudio/pushguard/e2e/process"
)

const (
	databaseUser = "trillian"
	// unprivileged is whom PostgreSQL runs as when the tests are root: its
	// programs refuse that. Debian's package makes the user.
	unprivileged = "postgres"
)

// postgres is a database server that only this machine's root and its own user
// reach: its socket is in a folder that is theirs alone, and no port is open.
type postgres struct {
	bin, dir, user string
}

// startPostgres makes a database server with its files in a folder of its own:
// one in the stack's would be closed to the user that PostgreSQL runs as.
func (s *Stack) startPostgres(ctx context.Context) (*postgres, error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pushguard-postgres-")
	if err != nil {
		return nil, err
	}
	s.folders = append(s.folders, dir)
	p := &postgres{bin: bin, dir: dir}
	if os.Geteuid() == 0 {
		p.user = unprivileged
		if err := giveTo(dir, p.user); err != nil {
			return nil, fmt.Errorf("start PostgreSQL: %w", err)
		}
	}
	data := filepath.Join(dir, "data")
	if err := p.run(ctx, "initdb", "--pgdata", data, "--username", databaseUser, "--auth=trust",
		"--no-sync", "--no-instructions", "--encoding=UTF8", "--no-locale"); err != nil {
		return nil, err
	}
	server, err := s.start(process.Command{
		Name: "postgres", Path: filepath.Join(bin, "postgres"), Dir: dir, User: p.user,
		End: syscall.SIGQUIT, // at once, but with its shared memory removed
		Args: []string{
			"-D", data, "-k", dir, "-c", "listen_addresses=", "-c", "max_connections=200",
			"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off",
		},
	})
	if err != nil {
		return nil, err
	}
	return p, server.Await(ctx, func(ctx context.Context) error { return p.psql(ctx, "postgres", "-c", "SELECT 1") })
}

// create makes a database from a file of statements and returns its URI.
func (p *postgres) create(ctx context.Context, name, schema string) (string, error) {
	if err := p.psql(ctx, "postgres", "-c", "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	if err := p.psql(ctx, name, "-f", schema); err != nil {
		return "", err
	}
	query := url.Values{"host": {p.dir}, "user": {databaseUser}}
	return "postgresql:///" + name + "?" + query.Encode(), nil
}

func (p *postgres) psql(ctx context.Context, database string, args ...string) error {
	return p.run(ctx, "psql", append([]string{
		"-h", p.dir, "-U", databaseUser, "-d", database, "-Xq", "-v", "ON_ERROR_STOP=1",
	}, args...)...)
}

func (p *postgres) run(ctx context.Context, program string, args ...string) error {
	// psql reads files that are the tests' own, so it runs as they do.
	as := p.user
	if program == "psql" {
		as = ""
	}
	res, err := process.Run(ctx, process.Command{
		Name: program, Path: filepath.Join(p.bin, program), Args: args, Dir: p.dir, User: as,
		Env: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C"},
	}, nil)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("exit %d: %s", res.Code, res.Stderr)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", program, err)
	}
	return nil
}

// postgresBin finds the folder of PostgreSQL's programs. Debian keeps them out of
// the PATH, one folder a version.
func postgresBin() (string, error) {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		initdb, err = filepath.EvalSymlinks(initdb)
		return filepath.Dir(initdb), err
	}
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", errors.New("no PostgreSQL: initdb is neither in the PATH nor in /usr/lib/postgresql; " +
			"Trillian, and so Rekor v1, needs one (apt-get install postgresql)")
	}
	version := func(initdb string) int {
		n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return cmp.Compare(version(a), version(b)) })), nil
}

func giveTo(dir, name string) error {
	u, err := user.Lookup(name)
	if err != nil {
		return err
	}
	uid, err := strconv.Atoi(u.Uid)
	if err != nil {
		return err
	}
	gid, err := strconv.Atoi(u.Gid)
	if err != nil {
		return err
	}
	return os.Chown(dir, uid, gid)
}
