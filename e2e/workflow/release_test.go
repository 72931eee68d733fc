// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package workflow

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/LerianStudio/pushguard/e2e/process"
	"github.com/LerianStudio/pushguard/e2e/stack"
)

const (
	release         = "1.0.0"
	releaseWorkflow = "LerianStudio/pushguard/.github/workflows/release.yml@refs/tags/v" + release
)

// startReleases serves a release of the commands as GitHub serves it, signed by the
// release workflow's identity.
func startReleases(ctx context.Context, dir string) error {
	e2e.served = filepath.Join(dir, "releases")
	for _, folder := range []string{"latest/download", "download/v" + release} {
		if err := writeRelease(ctx, filepath.Join(e2e.served, folder), filepath.Join(dir, "bin"), releaseWorkflow); err != nil {
			return fmt.Errorf("make a release: %w", err)
		}
	}
	e2e.releases = httptest.NewServer(http.FileServer(http.Dir(e2e.served)))
	return nil
}

func archiveName() string {
	return fmt.Sprintf("pushguard-commands_%s_linux_%s.tar.gz", release, runtime.GOARCH)
}

// writeRelease fills dir with an archive of the commands in bin, its checksum, and
// the signature of workflow.
func writeRelease(ctx context.Context, dir, bin, workflow string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	archive, err := pack(bin)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, archiveName()), archive, 0o600); err != nil {
		return err
	}
	checksums := filepath.Join(dir, "checksums.txt")
	if err := os.WriteFile(checksums, fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(archive), archiveName()), 0o600); err != nil {
		return err
	}
	return signBlob(ctx, checksums, workflow)
}

// signBlob signs file as workflow, and puts the bundle beside it.
func signBlob(ctx context.Context, file, workflow string) error {
	config, err := e2e.SigningConfig(ctx, filepath.Dir(e2e.served), stack.Endpoints{Fulcio: e2e.Fulcio, TSA: e2e.TSA, Rekor: e2e.RekorV1})
	if err != nil {
		return err
	}
	res, err := e2e.Cosign3().Run(ctx, e2e.Issuer.Grant(workflow).Env(), "sign-blob", "--yes",
		"--signing-config", config, "--trusted-root", e2e.TrustedRoot, "--bundle", file+".sigstore.json", file)
	if err == nil && res.Code != 0 {
		err = fmt.Errorf("cosign sign-blob: exit %d: %s", res.Code, res.Stderr)
	}
	return err
}

func pack(bin string) ([]byte, error) {
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	files := tar.NewWriter(zipped)
	for _, name := range []string{"tagcheck", "signretry", "regcleanup"} {
		data, err := os.ReadFile(filepath.Join(bin, name))
		if err != nil {
			return nil, err
		}
		if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return nil, err
		}
		if _, err := files.Write(data); err != nil {
			return nil, err
		}
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	if err := zipped.Close(); err != nil {
		return nil, err
	}
	return archive.Bytes(), nil
}

// trust is how install.sh is told whose signature counts on this machine.
func trust() []string {
	return []string{
		"PUSHGUARD_RELEASES=" + e2e.releases.URL,
		"PUSHGUARD_RELEASE_ISSUER=" + e2e.Issuer.URL,
		"PUSHGUARD_TRUSTED_ROOT=" + e2e.TrustedRoot,
	}
}

// The real cosign judges: a release signed by the release workflow is installed, one
// signed by anybody else, or changed after it was signed, is not.
func TestInstall(t *testing.T) {
	t.Parallel()
	const fork = "someone/pushguard/.github/workflows/release.yml@refs/tags/v" + release
	const branch = "LerianStudio/pushguard/.github/workflows/release.yml@refs/heads/main"
	for name, test := range map[string]struct {
		signer string
		tamper bool
		code   int
	}{
		"by the release workflow": {releaseWorkflow, false, 0},
		"by a fork's":             {fork, false, 1},
		"on a branch":             {branch, false, 1},
		"changed afterwards":      {releaseWorkflow, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			served := filepath.Join(dir, "latest", "download")
			if err := writeRelease(t.Context(), served, filepath.Join(filepath.Dir(e2e.served), "bin"), test.signer); err != nil {
				t.Fatal(err)
			}
			if test.tamper {
				appendTo(t, filepath.Join(served, "checksums.txt"), "\n")
			}
			server := httptest.NewServer(http.FileServer(http.Dir(dir)))
			defer server.Close()
			target := filepath.Join(dir, "installed")
			res, err := process.Run(t.Context(), process.Command{
				Name: "install.sh", Path: filepath.Join(e2e.root, "setup", "install.sh"), Args: []string{"--dir", target},
				Env: append(append(machine(), trust()...), "PUSHGUARD_RELEASES="+server.URL), Dir: dir,
			}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s%s", res.Stdout, res.Stderr)
			_, err = os.Stat(filepath.Join(target, "tagcheck"))
			if res.Code != test.code || (err == nil) != (test.code == 0) {
				t.Errorf("exit %d, installed: %t, want exit %d", res.Code, err == nil, test.code)
			}
		})
	}
}

func appendTo(t *testing.T, path, text string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(data, text...), 0o600); err != nil {
		t.Fatal(err)
	}
}
