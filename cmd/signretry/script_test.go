// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/signing/signingtest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"signretry": main})
}

// world is what a script has: two registries and a Sigstore on the loopback
// interface. The command is the built binary, run as a process.
type world struct {
	sigstore      *signingtest.Sigstore
	registry      *registrytest.Registry
	host, oldHost string // with and without referrers API
	lastOut       string // stderr, then stdout
	docs          string // path of the command's page
}

type worldKey struct{}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"push": push, "metadata": metadata, "exits": exits, "fault": fault, "count": count,
			"envsubst": envsubst, "documented": documented, "identity": identity, "token": token,
		},
	})
}

func setup(env *testscript.Env) error {
	s, err := signingtest.New()
	if err != nil {
		return err
	}
	if err := s.Start(context.Background()); err != nil {
		return err
	}
	env.Defer(func() { _ = s.Close() })
	w := &world{sigstore: s, registry: registrytest.New(true)}
	if w.docs, err = filepath.Abs("../../docs/signretry.md"); err != nil {
		return err
	}
	var stop, stopOld func()
	if w.host, stop, err = w.registry.Start(); err != nil {
		return err
	}
	env.Defer(stop)
	if w.oldHost, stopOld, err = registrytest.New(false).Start(); err != nil {
		return err
	}
	env.Defer(stopOld)
	config := filepath.Join(env.WorkDir, "sigstore")
	if err := os.Mkdir(config, 0o755); err != nil {
		return err
	}
	root, signing := filepath.Join(config, "trusted_root.json"), filepath.Join(config, "signing_config.json")
	env.Vars = append(env.Vars, s.Env()...)
	env.Vars = append(env.Vars, "SIGNRETRY_TRUSTED_ROOT="+root, "SIGNRETRY_SIGNING_CONFIG="+signing,
		"SIGNRETRY_INITIAL_DELAY=20ms", "SIGNRETRY_MAX_DELAY=50ms", "SIGNRETRY_MAX_ELAPSED=20s",
		"REGISTRY="+w.host, "OLD_REGISTRY="+w.oldHost, "SIGSTORE="+s.URL, "DOCKER_CONFIG="+env.WorkDir)
	env.Values[worldKey{}] = w
	return errors.Join(s.WriteTrustedRoot(root), s.WriteSigningConfig(signing))
}

func the(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

// push REGISTRY/REPOSITORY:TAG sets $DIGEST.
func push(ts *testscript.TestScript, _ bool, args []string) {
	host, rest, _ := strings.Cut(args[0], "/")
	repository, tag, ok := strings.Cut(rest, ":")
	if len(args) != 1 || !ok {
		ts.Fatalf("usage: push HOST/REPOSITORY:TAG")
	}
	digest, err := registrytest.Push(context.Background(), host, repository, tag, repository)
	ts.Check(err)
	ts.Setenv("DIGEST", digest)
}

// metadata FILE NAME[,NAME...] writes what docker buildx build reports of $DIGEST.
func metadata(ts *testscript.TestScript, _ bool, args []string) {
	text := fmt.Sprintf(`{"buildx.build.ref":"b/b/x","containerimage.digest":%q,"image.name":%q}`, ts.Getenv("DIGEST"), args[1])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// envsubst FROM TO copies a file with its variables replaced.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// exits CODE COMMAND ARG... runs a command and wants its exit code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	the(ts).lastOut = ts.ReadFile("stderr") + ts.ReadFile("stdout")
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// fault SERVICE WHAT TIMES plans faults: a status, lost, not-found, html, hang, reset.
func fault(ts *testscript.TestScript, _ bool, args []string) {
	s := the(ts).sigstore
	route, ok := map[string]*signingtest.Route{
		"token": &s.OIDC.Route, "fulcio": &s.Fulcio.Route, "tsa": &s.TSA.Route, "rekor": &s.Rekor.Create, "rekor-get": &s.Rekor.Get,
	}[args[0]]
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	switch status, isStatus := strconv.Atoi(args[1]); {
	case args[0] == "registry":
		the(ts).registry.Inject(registrytest.Fault{Times: n, Answer: registrytest.Error(status, "UNAVAILABLE", "try later")})
	case !ok:
		ts.Fatalf("no service %q", args[0])
	case args[1] == "lost":
		s.Rekor.LoseAnswer(n)
	case args[1] == "not-found":
		s.Rekor.NotFound(n)
	case args[1] == "html":
		route.Fail(n, signingtest.HTML())
	case args[1] == "hang":
		route.Fail(n, signingtest.Fault{Hang: true})
	case args[1] == "reset":
		route.Fail(n, signingtest.Fault{Reset: true})
	case args[1] == "heal":
		route.Heal()
	case isStatus == nil:
		route.Fail(n, signingtest.Fault{Status: status})
	default:
		ts.Fatalf("no fault %q", args[1])
	}
}

// count CERTIFICATES ENTRIES wants these numbers of them, of all runs so far.
func count(ts *testscript.TestScript, _ bool, args []string) {
	s := the(ts).sigstore
	if got := []string{fmt.Sprint(s.Fulcio.Certificates()), fmt.Sprint(s.Rekor.Entries())}; !slices.Equal(got, args) {
		ts.Fatalf("certificates and log entries: %v, want %v", got, args)
	}
}

// identity WORKFLOW changes who the job is.
func identity(ts *testscript.TestScript, _ bool, args []string) {
	the(ts).sigstore.OIDC.SetWorkflow(args[0])
}

// token NAME puts an identity token into a variable.
func token(ts *testscript.TestScript, _ bool, args []string) {
	t, err := the(ts).sigstore.OIDC.Token()
	ts.Check(err)
	ts.Setenv(args[0], t)
}

// documented wants the last output of exits to stand in docs/signretry.md, with
// the names of a real registry and Sigstore.
func documented(ts *testscript.TestScript, _ bool, _ []string) {
	w := the(ts)
	doc, err := os.ReadFile(w.docs)
	ts.Check(err)
	text := strings.NewReplacer(w.host, "ghcr.io", w.oldHost, "docker.io", w.sigstore.URL, "https://sigstore.example").Replace(w.lastOut)
	text = regexp.MustCompile(`wait=[0-9.a-zµ]+`).ReplaceAllString(text, "wait=1.2s")
	text = regexp.MustCompile(` --(trusted-root|signing-config)=\S+`).ReplaceAllString(text, "")
	text = regexp.MustCompile(`in [0-9.a-zµ]+\)`).ReplaceAllString(text, "in 2.9s)")
	// Columns are as wide as the names.
	text = regexp.MustCompile(` {2,}`).ReplaceAllString(text, "  ")
	if !strings.Contains(string(doc), text) {
		ts.Fatalf("docs/signretry.md does not hold:\n%s", text)
	}
}
