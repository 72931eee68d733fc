// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package registrytest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Internet stands in for hosts such as hub.docker.com: a proxy that ends CONNECT
// and TLS itself, with certificates of its own authority, and serves a handler for
// each host. Commands under test need nothing but HTTPS_PROXY and SSL_CERT_FILE.
type Internet struct {
	hosts     map[string]http.Handler
	authority *x509.Certificate
	key       *ecdsa.PrivateKey
	proxy     string
	stop      func()

	mu       sync.Mutex
	leaves   map[string]*tls.Certificate
	requests []string
	lost     []string
}

// NewInternet starts one. hosts are by name, without a port; requests to any other
// host fail, and are listed by [Internet.Lost].
func NewInternet(hosts map[string]http.Handler) (*Internet, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pushguard test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	n := &Internet{hosts: hosts, authority: authority, key: key, leaves: map[string]*tls.Certificate{}}
	n.proxy, n.stop, err = Serve(http.HandlerFunc(n.connect))
	return n, err
}

// Close stops the proxy.
func (n *Internet) Close() { n.stop() }

// Environ writes the authority's certificate into dir and returns the variables with
// which a process reaches the hosts.
func (n *Internet) Environ(dir string) ([]string, error) {
	path := filepath.Join(dir, "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: n.authority.Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, err
	}
	return []string{"HTTPS_PROXY=http://" + n.proxy, "SSL_CERT_FILE=" + path, "NO_PROXY=127.0.0.1,localhost"}, nil
}

// Transport reaches the hosts from this process; other addresses on loopback are
// reached without the proxy.
func (n *Internet) Transport() *http.Transport {
	pool := x509.NewCertPool()
	pool.AddCert(n.authority)
	return &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		Proxy: func(r *http.Request) (*url.URL, error) {
			if r.URL.Scheme == "http" {
				return nil, nil //nolint:nilnil // no proxy
			}
			return url.Parse("http://" + n.proxy)
		},
	}
}

// Requests lists what was asked since the last call, as "METHOD host/path".
func (n *Internet) Requests() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	asked := n.requests
	n.requests = nil
	return asked
}

// Lost lists the hosts that were asked for and do not exist here.
func (n *Internet) Lost() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lost
}

func (n *Internet) connect(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.Host)
	if r.Method != http.MethodConnect || err != nil {
		http.Error(w, "only CONNECT", http.StatusMethodNotAllowed)
		return
	}
	handler, known := n.hosts[host]
	leaf, err := n.leaf(host)
	if !known || err != nil {
		n.mu.Lock()
		n.lost = append(n.lost, host)
		n.mu.Unlock()
		http.Error(w, "no such host", http.StatusBadGateway)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12})
	once := &oneListener{conn: make(chan net.Conn, 1), done: make(chan struct{}), addr: conn.LocalAddr()}
	once.conn <- secure
	server := &http.Server{
		ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.mu.Lock()
			n.requests = append(n.requests, r.Method+" "+host+r.URL.Path)
			n.mu.Unlock()
			handler.ServeHTTP(w, r)
		}),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed || state == http.StateHijacked {
				once.close()
			}
		},
	}
	_ = server.Serve(once)
}

// leaf is host's certificate, made when first needed.
func (n *Internet) leaf(host string) (*tls.Certificate, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if c := n.leaves[host]; c != nil {
		return c, nil
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(len(n.leaves) + 2)), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.authority, &n.key.PublicKey, n.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for %s: %w", host, err)
	}
	n.leaves[host] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: n.key}
	return n.leaves[host], nil
}

// oneListener gives its one connection to a server and ends with it.
type oneListener struct {
	conn chan net.Conn
	addr net.Addr
	once sync.Once
	done chan struct{}
}

func (l *oneListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conn:
		return c, nil
	case <-l.done:
		return nil, io.EOF
	}
}

func (l *oneListener) Close() error   { l.close(); return nil }
func (l *oneListener) Addr() net.Addr { return l.addr }
func (l *oneListener) close()         { l.once.Do(func() { close(l.done) }) }
