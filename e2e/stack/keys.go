// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package stack

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// certificateLife is that of the authorities: longer than any test run.
const certificateLife = 24 * time.Hour

// material is the key and certificate files of the servers, all in one folder.
type material struct {
	fulcioKey, fulcioChain string
	tsaKey, tsaChain       string
	rekorV1Key, rekorV1Pub string
	rekorV2Key, rekorV2Pub string
	rekorSlowKey           string
	rekorSlowPub           string
	ctPub                  string
	ctKey                  *ecdsa.PrivateKey // goes into the CT log's configuration
}

func newMaterial(dir string, now time.Time) (m material, err error) {
	if m.fulcioKey, m.fulcioChain, err = fulcioFiles(dir, now); err != nil {
		return m, fmt.Errorf("make Fulcio's CA: %w", err)
	}
	if m.tsaKey, m.tsaChain, err = tsaFiles(dir, now); err != nil {
		return m, fmt.Errorf("make the timestamp authority's chain: %w", err)
	}
	for name, files := range map[string]struct{ key, pub *string }{
		"rekor-v1":   {&m.rekorV1Key, &m.rekorV1Pub},
		"rekor-v2":   {&m.rekorV2Key, &m.rekorV2Pub},
		"rekor-slow": {&m.rekorSlowKey, &m.rekorSlowPub},
	} {
		key, path, err := newKeyFile(dir, name+".key")
		if err != nil {
			return m, fmt.Errorf("make Rekor's key: %w", err)
		}
		*files.key = path
		if *files.pub, err = writePublic(dir, name+".pub", key.Public()); err != nil {
			return m, fmt.Errorf("make Rekor's key: %w", err)
		}
	}
	if m.ctKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return m, fmt.Errorf("make the CT log's key: %w", err)
	}
	if m.ctPub, err = writePublic(dir, "ct.pub", m.ctKey.Public()); err != nil {
		return m, fmt.Errorf("make the CT log's key: %w", err)
	}
	return m, nil
}

// fulcioFiles makes a root and an intermediate, as the public instance has them;
// the file backend wants the issuing certificate first.
func fulcioFiles(dir string, now time.Time) (keyPath, chainPath string, err error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	root := authority("pushguard e2e Fulcio root", now)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return "", "", err
	}
	key, keyPath, err := newKeyFile(dir, "fulcio.key")
	if err != nil {
		return "", "", err
	}
	intermediate := authority("pushguard e2e Fulcio", now)
	intermediate.MaxPathLen, intermediate.MaxPathLenZero = 0, true
	intermediate.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}
	der, err := x509.CreateCertificate(rand.Reader, intermediate, root, key.Public(), rootKey)
	if err != nil {
		return "", "", err
	}
	chainPath, err = writeCertificates(dir, "fulcio.crt", der, rootDER)
	return keyPath, chainPath, err
}

// tsaFiles makes a root and a leaf whose only, critical, extended use is time
// stamping (RFC 3161, section 2.3).
func tsaFiles(dir string, now time.Time) (keyPath, chainPath string, err error) {
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", err
	}
	root := authority("pushguard e2e TSA root", now)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, rootKey.Public(), rootKey)
	if err != nil {
		return "", "", err
	}
	key, keyPath, err := newKeyFile(dir, "tsa.key")
	if err != nil {
		return "", "", err
	}
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
	if err != nil {
		return "", "", err
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{Organization: []string{"pushguard e2e"}, CommonName: "pushguard e2e TSA"},
		NotBefore:    now.Add(-time.Minute),
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		// crypto/x509 would mark it not critical.
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: usage}},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), rootKey)
	if err != nil {
		return "", "", err
	}
	chainPath, err = writeCertificates(dir, "tsa.crt", der, rootDER)
	return keyPath, chainPath, err
}

func authority(name string, now time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(now.UnixNano()),
		Subject:               pkix.Name{Organization: []string{"pushguard e2e"}, CommonName: name},
		NotBefore:             now.Add(-time.Minute),
		NotAfter:              now.Add(certificateLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
	}
}

func newKeyFile(dir, name string) (*ecdsa.PrivateKey, string, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, "", err
	}
	path, err := writePEM(dir, name, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, path, err
}

func writePublic(dir, name string, key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", err
	}
	return writePEM(dir, name, &pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func writeCertificates(dir, name string, ders ...[]byte) (string, error) {
	blocks := make([]*pem.Block, len(ders))
	for i, der := range ders {
		blocks[i] = &pem.Block{Type: "CERTIFICATE", Bytes: der}
	}
	return writePEM(dir, name, blocks...)
}

func writePEM(dir, name string, blocks ...*pem.Block) (string, error) {
	var data []byte
	for _, b := range blocks {
		data = append(data, pem.EncodeToMemory(b)...)
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, data, 0o600)
}
