// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/command/commandtest"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signretry": main, "xdg-open": browser})
}

// browser is what a desktop has under the name xdg-open: it returns at once, and
// the browser itself goes where it is sent.
func browser() {
	if os.Getenv("BROWSER_WINDOW") == "" {
		window := exec.Command(os.Args[0], os.Args[1:]...)
		window.Env = append(os.Environ(), "BROWSER_WINDOW=1")
		if err := window.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if resp, err := http.Get(os.Args[1]); err == nil {
		_ = resp.Body.Close()
	}
}

func TestScripts(t *testing.T) {
	t.Parallel()
	commandtest.Run(t, commandtest.Script{
		Name: "signretry",
		Setup: func(env *testscript.Env) error {
			s, err := startSigstore(env)
			env.Values[sigstoreKey{}] = s
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"metadata": metadata, "sigstore": sigstore, "count": count, "named": named, "absent": absent, "identity": beWorkflow, "token": token,
		},
		Replace: func(ts *testscript.TestScript, output string) string {
			output = strings.ReplaceAll(output, sigstoreOf(ts).URL, "https://sigstore.example")
			output = regexp.MustCompile(`wait=[0-9.a-zµ]+`).ReplaceAllString(output, "wait=1.2s")
			output = regexp.MustCompile(`since=\S+ until=\S+`).ReplaceAllString(output, "since=14:02:11Z until=14:17:11Z")
			return regexp.MustCompile(` --(trusted-root|signing-config)=\S+`).ReplaceAllString(output, "")
		},
	})
}

type sigstoreKey struct{}

// startSigstore gives a script a Sigstore of its own on the loopback interface,
// the environment of a GitHub Actions job, and short waits.
func startSigstore(env *testscript.Env) (*signingtest.Sigstore, error) {
	s, err := signingtest.New()
	if err != nil {
		return nil, err
	}
	if err := s.Start(context.Background()); err != nil {
		return nil, err
	}
	env.Defer(func() { _ = s.Close() })
	config := filepath.Join(env.WorkDir, "sigstore")
	if err := os.Mkdir(config, 0o750); err != nil {
		return nil, err
	}
	trustedRoot, signingConfig := filepath.Join(config, "trusted_root.json"), filepath.Join(config, "signing_config.json")
	env.Vars = append(env.Vars, s.Env()...)
	env.Vars = append(env.Vars, "SIGNRETRY_TRUSTED_ROOT="+trustedRoot, "SIGNRETRY_SIGNING_CONFIG="+signingConfig,
		"SIGNRETRY_INITIAL_DELAY=20ms", "SIGNRETRY_MAX_DELAY=50ms", "SIGNRETRY_MAX_ELAPSED=20s", "SIGSTORE="+s.URL)
	return s, errors.Join(s.WriteTrustedRoot(trustedRoot), s.WriteSigningConfig(signingConfig))
}

func sigstoreOf(ts *testscript.TestScript) *signingtest.Sigstore {
	s, ok := ts.Value(sigstoreKey{}).(*signingtest.Sigstore)
	if !ok {
		ts.Fatalf("the script has no Sigstore")
	}
	return s
}

// metadata FILE NAME[,NAME...] writes what docker buildx build reports of $DIGEST.
func metadata(ts *testscript.TestScript, _ bool, args []string) {
	text := fmt.Sprintf(`{"buildx.build.ref":"b/b/x","containerimage.digest":%q,"image.name":%q}`, ts.Getenv("DIGEST"), args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// named REGISTRY/REPOSITORY:TAG wants the tag to name $DIGEST; absent wants it to name
// nothing.
func named(ts *testscript.TestScript, _ bool, args []string) { names(ts, args[0], ts.Getenv("DIGEST")) }

func absent(ts *testscript.TestScript, _ bool, args []string) { names(ts, args[0], "") }

func names(ts *testscript.TestScript, name, want string) {
	host, rest, _ := strings.Cut(name, "/")
	repository, tag, _ := strings.Cut(rest, ":")
	resp, err := http.Head("http://" + host + "/v2/" + repository + "/manifests/" + tag)
	ts.Check(err)
	defer resp.Body.Close()
	if got := resp.Header.Get("Docker-Content-Digest"); got != want {
		ts.Fatalf("%s names %q, want %q", name, got, want)
	}
}

// sigstore SERVICE WHAT TIMES plans faults: a status, lost, not-found, html,
// hang, reset, echo, deny; "sigstore SERVICE heal" forgets them.
func sigstore(ts *testscript.TestScript, _ bool, args []string) {
	s := sigstoreOf(ts)
	route, ok := map[string]*signingtest.Route{
		"token": &s.OIDC.Route, "fulcio": &s.Fulcio.Route, "tsa": &s.TSA.Route, "rekor": &s.Rekor.Create, "rekor-get": &s.Rekor.Get, "login": &s.Login.Route,
	}[args[0]]
	if !ok {
		ts.Fatalf("no service %q", args[0])
	}
	if args[1] == "heal" {
		route.Heal()
		return
	}
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	switch status, err := strconv.Atoi(args[1]); {
	case err == nil:
		route.Fail(n, signingtest.Fault{Status: status})
	case args[1] == "lost":
		s.Rekor.LoseAnswer(n)
	case args[1] == "not-found":
		s.Rekor.NotFound(n)
	case args[1] == "html":
		route.Fail(n, signingtest.HTML())
	case args[1] == "hang":
		route.Fail(n, signingtest.Fault{Hang: true})
	case args[1] == "echo":
		route.Fail(n, signingtest.Fault{Status: 503, Echo: true})
	case args[1] == "deny":
		s.Login.Deny()
	case args[1] == "reset":
		route.Fail(n, signingtest.Fault{Reset: true})
	default:
		ts.Fatalf("no fault %q", args[1])
	}
}

// count CERTIFICATES ENTRIES wants these numbers of them, of all runs so far.
func count(ts *testscript.TestScript, _ bool, args []string) {
	s := sigstoreOf(ts)
	if got := []string{strconv.Itoa(s.Fulcio.Certificates()), strconv.Itoa(s.Rekor.Entries())}; !slices.Equal(got, args) {
		ts.Fatalf("certificates and log entries: %v, want %v", got, args)
	}
}

// beWorkflow WORKFLOW changes who the job is.
func beWorkflow(ts *testscript.TestScript, _ bool, args []string) {
	sigstoreOf(ts).OIDC.SetWorkflow(args[0])
}

// token NAME puts an identity token into a variable.
func token(ts *testscript.TestScript, _ bool, args []string) {
	t, err := sigstoreOf(ts).OIDC.Token()
	ts.Check(err)
	ts.Setenv(args[0], t)
}
