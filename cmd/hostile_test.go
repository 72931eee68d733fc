// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cmd_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

// secret is the password of docker's login for the hostile registry.
const secret = "hunter2-hunter2"

// hostile are registries that mean harm. Each is asked with a login.
var hostile = map[string]func(elsewhere string) http.HandlerFunc{
	"redirects to another host": func(elsewhere string) http.HandlerFunc {
		return loggedIn(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+elsewhere+r.URL.Path, http.StatusTemporaryRedirect)
		})
	},
	"wants the login for another host": func(elsewhere string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+elsewhere+`/token",service="x",scope="repository:org/app:pull"`)
			registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "no")(w, r)
		}
	},
	"endless body":       func(string) http.HandlerFunc { return loggedIn(endless(http.StatusOK)) },
	"endless error":      func(string) http.HandlerFunc { return loggedIn(endless(http.StatusForbidden)) },
	"compressed zeros":   func(string) http.HandlerFunc { return loggedIn(bomb) },
	"flood of headers":   func(string) http.HandlerFunc { return loggedIn(flood) },
	"lies about digests": func(string) http.HandlerFunc { return loggedIn(lie) },
	"shows the request": func(string) http.HandlerFunc {
		return loggedIn(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "\x1b[2J\r\n::set-output name=x::y\n%v", r.Header)
		})
	},
}

// loggedIn asks for docker's login first.
func loggedIn(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "no")(w, r)
			return
		}
		next(w, r)
	}
}

func endless(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", registrytest.MediaTypeManifest)
		w.WriteHeader(status)
		for zeros := make([]byte, 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}
}

// bomb is four gigabytes in a few megabytes.
func bomb(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", registrytest.MediaTypeManifest)
	w.Header().Set("Content-Encoding", "gzip")
	packed := gzip.NewWriter(w)
	zeros := make([]byte, 1<<20)
	for range 4 << 10 {
		if _, err := packed.Write(zeros); err != nil || r.Context().Err() != nil {
			return
		}
	}
	_ = packed.Close()
}

func flood(w http.ResponseWriter, _ *http.Request) {
	for i := range 40_000 {
		w.Header().Set(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
	}
	w.WriteHeader(http.StatusOK)
}

func lie(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", registrytest.MediaTypeManifest)
	w.Header().Set("Docker-Content-Digest", "not-a-digest")
	if r.Method == http.MethodGet {
		w.Header().Set("Docker-Content-Digest", registrytest.Digest("something else"))
		_, _ = fmt.Fprintf(w, `{"schemaVersion":2,"mediaType":%q,"layers":[]}`, registrytest.MediaTypeManifest)
	}
}

// Whatever a registry answers: each command ends in time and in little memory, with a
// failure, without a control character, and no other host is sent the login.
func TestHostileRegistry(t *testing.T) {
	t.Parallel()
	sigstore, err := signingtest.New()
	if err == nil {
		err = sigstore.Start(t.Context())
	}
	dir := t.TempDir()
	root, config := filepath.Join(dir, "root.json"), filepath.Join(dir, "config.json")
	if err = errors.Join(err, sigstore.WriteTrustedRoot(root), sigstore.WriteSigningConfig(config)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sigstore.Close() })
	digest := registrytest.Digest("x")
	limits := []string{"--timeout=2s", "--max-attempts=2", "--max-elapsed=15s"}
	for name, answer := range hostile {
		for command, args := range map[string]func(host string) []string{
			"tagcheck": func(host string) []string { return []string{host + "/org/app:1"} },
			"signretry": func(host string) []string {
				return []string{"--trusted-root=" + root, "--signing-config=" + config, host + "/org/app@" + digest}
			},
			"regcleanup": func(host string) []string {
				return []string{"--delete", "--yes", "--published-digest=" + digest, host + "/org/app:1"}
			},
		} {
			t.Run(command+", "+name, func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var stolen []string
				other, stopOther, err := registrytest.Serve(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					_ = r.ParseForm()
					mu.Lock()
					defer mu.Unlock()
					if auth := r.Header.Get("Authorization") + r.Form.Get("password"); auth != "" {
						stolen = append(stolen, auth)
					}
				}))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(stopOther)
				host, stop, err := registrytest.Serve(answer(strings.Replace(other, "127.0.0.1", "localhost", 1)))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(stop)
				ran := suffer(t, host, sigstore.Env(), command, append(args(host), limits...)...)
				t.Logf("%+v", ran)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case ran.code <= 0 || ran.code == 5:
					t.Errorf("exit %d", ran.code)
				case ran.took > 40*time.Second || ran.memory > 80<<20:
					t.Errorf("it took %s and %d MiB", ran.took, ran.memory>>20)
				case strings.ContainsFunc(ran.output, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x1b }), strings.Contains(ran.output, "\n::"):
					t.Errorf("the output is not plain: %q", ran.output)
				case strings.Contains(ran.output, secret), strings.Contains(ran.output, base64.StdEncoding.EncodeToString([]byte("me:"+secret))):
					t.Errorf("the output has the password:\n%s", ran.output)
				}
				if len(stolen) > 0 && name != "wants the login for another host" {
					t.Errorf("another host was sent %q", stolen)
				}
			})
		}
	}
}

// suffered is how a command came out of it.
type suffered struct {
	code   int
	took   time.Duration
	memory int64 // bytes at the peak
	output string
}

// suffer runs a command with docker's login for host.
func suffer(t *testing.T, host string, env []string, command string, args ...string) suffered {
	t.Helper()
	home := t.TempDir()
	auth := base64.StdEncoding.EncodeToString([]byte("me:" + secret))
	if err := os.WriteFile(filepath.Join(home, "config.json"), fmt.Appendf(nil, `{"auths":{%q:{"auth":%q}}}`, host, auth), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, command), args...)
	cmd.Env = slices.Concat(env, []string{"HOME=" + home, "DOCKER_CONFIG=" + home})
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	_ = cmd.Wait()
	close(ended)
	return suffered{code: cmd.ProcessState.ExitCode(), took: time.Since(begin), memory: <-peak, output: out.String()}
}

// peakMemory is the most memory that a process had, in bytes, as far as it was seen. What
// wait(2) says of it includes the memory of the test that started it.
func peakMemory(pid int, ended <-chan struct{}) (peak int64) {
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		var kilobytes int64
		if _, rest, ok := strings.Cut(string(text), "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &kilobytes)
		}
		exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
		if strings.HasPrefix(exe, bin) {
			peak = max(peak, kilobytes<<10)
		}
		select {
		case <-tick.C:
		case <-ended:
			tick.Stop()
			return peak
		}
	}
}

// A server whose certificate nobody vouches for is sent nothing.
func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	net, err := registrytest.NewInternet(map[string]http.Handler{"r.example.com": registrytest.New(true)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(net.Close)
	env, err := net.Environ(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ran := suffer(t, "r.example.com", env[:1], "tagcheck", "--max-attempts=1", "r.example.com/org/app:1")
	if ran.code != 3 || !strings.Contains(ran.output, "certificate") {
		t.Errorf("exit %d, want 3\n%s", ran.code, ran.output)
	}
	if got := net.Requests(); len(got) > 0 {
		t.Errorf("it was asked %q", got)
	}
}
