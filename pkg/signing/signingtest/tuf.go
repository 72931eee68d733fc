// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package signingtest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TUF is the repository from which clients get trusted root and signing config.
type TUF struct {
	Route

	// OldRoot, if set before the first request, has the root that clients begin with
	// expired. Its successor has another key, for which the old one vouches.
	OldRoot bool

	sigstore *Sigstore
	once     sync.Once
	files    map[string][]byte
	err      error
}

// URL is the repository's base.
func (t *TUF) URL() string { return t.sigstore.URL + "/tuf" }

// Root returns the root.json that clients begin with.
func (t *TUF) Root() ([]byte, error) {
	t.once.Do(t.build)
	return t.files["1.root.json"], t.err
}

// WriteRoot writes root.json to path.
func (t *TUF) WriteRoot(path string) error { return writeFile(path, t.Root) }

func (t *TUF) get(w http.ResponseWriter, r *http.Request) {
	t.once.Do(t.build)
	data, ok := t.files[r.PathValue("path")]
	switch {
	case t.err != nil:
		refuse(w, http.StatusInternalServerError, "%v", t.err)
	case !ok:
		refuse(w, http.StatusNotFound, "no such file")
	default:
		_, _ = w.Write(data)
	}
}

func (t *TUF) build() { t.err = t.make() }

// make makes a repository of version 1 with one key for all roles (TUF
// specification, with consistent snapshots).
func (t *TUF) make() error {
	t.files = map[string][]byte{}
	expires := time.Now().Add(7 * 24 * time.Hour) // as the public instance's timestamp
	root, signer, err := newRoot(expires)
	if err != nil {
		return err
	}
	if t.OldRoot {
		old, oldSigner, err := newRoot(time.Now().Add(-24 * time.Hour))
		if err != nil {
			return err
		}
		root.Signed.Version = 2
		if _, err := root.Sign(oldSigner); err != nil {
			return err
		}
		if err := sign("1.root.json", old, oldSigner, t.files); err != nil {
			return err
		}
	}
	targets := metadata.Targets(expires)
	return errors.Join(
		t.target(targets.Signed.Targets, "trusted_root.json", t.sigstore.TrustedRoot),
		t.target(targets.Signed.Targets, "signing_config.v0.2.json", t.sigstore.SigningConfig),
		t.target(targets.Signed.Targets, "signing_config_rekor_v2.v0.2.json", func() ([]byte, error) { return t.sigstore.signingConfig(2) }),
		sign(fmt.Sprintf("%d.root.json", root.Signed.Version), root, signer, t.files),
		sign("1.targets.json", targets, signer, t.files),
		sign("1.snapshot.json", metadata.Snapshot(expires), signer, t.files),
		sign("timestamp.json", metadata.Timestamp(expires), signer, t.files),
	)
}

// newRoot makes a root with a new key for all roles.
func newRoot(expires time.Time) (*metadata.Metadata[metadata.RootType], signature.Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	key, err := metadata.KeyFromPublicKey(public)
	if err != nil {
		return nil, nil, err
	}
	signer, err := signature.LoadSigner(private, crypto.Hash(0))
	if err != nil {
		return nil, nil, err
	}
	root := metadata.Root(expires)
	for _, role := range []string{metadata.ROOT, metadata.TIMESTAMP, metadata.SNAPSHOT, metadata.TARGETS} {
		if err := root.Signed.AddKey(key, role); err != nil {
			return nil, nil, err
		}
	}
	return root, signer, nil
}

func (t *TUF) target(targets map[string]*metadata.TargetFiles, name string, content func() ([]byte, error)) error {
	data, err := content()
	if err != nil {
		return err
	}
	file, err := metadata.TargetFile().FromBytes(name, data, "sha256")
	if err != nil {
		return err
	}
	targets[name] = file
	t.files["targets/"+hex.EncodeToString(file.Hashes["sha256"])+"."+name] = data
	return nil
}

func sign[T metadata.Roles](name string, m *metadata.Metadata[T], signer signature.Signer, files map[string][]byte) error {
	if _, err := m.Sign(signer); err != nil {
		return err
	}
	data, err := m.ToBytes(false)
	files[name] = data
	return err
}
