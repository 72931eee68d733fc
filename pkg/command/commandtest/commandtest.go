// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Package commandtest runs testdata/script/*.txtar against a built command, as a
// process, with two registries on the loopback address.
package commandtest

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// Script is how the scripts of a command run.
type Script struct {
	Name     string // of the command; docs/NAME.md is its page
	Registry string // the name of $REGISTRY there, by default ghcr.io
	Setup    func(*testscript.Env) error
	Cmds     map[string]func(*testscript.TestScript, bool, []string)
	// Replace is applied to what "documented" looks for: names of the test's servers
	// to names of real ones.
	Replace func(ts *testscript.TestScript, output string) string
}

// world is what each script has. $REGISTRY has the referrers API, $OLD_REGISTRY has not.
type world struct {
	registry, old *registrytest.Registry

	mu   sync.Mutex
	last string // what "exits" has run: "$ command" and its output
}

type worldKey struct{}

// Run runs all scripts in testdata/script.
func Run(t *testing.T, s Script) {
	t.Helper()
	if s.Registry == "" {
		s.Registry = "ghcr.io"
	}
	docs, err := filepath.Abs(filepath.Join("..", "..", "docs"))
	if err != nil {
		t.Fatal(err)
	}
	pages := &pages{script: s, docs: docs}
	t.Cleanup(func() { pages.check(t) })
	cmds := map[string]func(*testscript.TestScript, bool, []string){
		"push": push, "exits": exits, "fault": fault, "envsubst": envsubst,
		"valid":      func(ts *testscript.TestScript, _ bool, args []string) { valid(ts, docs, args) },
		"documented": func(ts *testscript.TestScript, _ bool, _ []string) { pages.documented(ts) },
	}
	maps.Copy(cmds, s.Cmds)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                cmds,
		Setup: func(env *testscript.Env) error {
			if err := setup(env); err != nil {
				return err
			}
			if s.Setup != nil {
				return s.Setup(env)
			}
			return nil
		},
	})
}

func setup(env *testscript.Env) error {
	w := &world{registry: registrytest.New(true), old: registrytest.New(false)}
	for name, r := range map[string]*registrytest.Registry{"REGISTRY": w.registry, "OLD_REGISTRY": w.old} {
		host, stop, err := r.Start()
		if err != nil {
			return err
		}
		env.Defer(stop)
		env.Setenv(name, host)
	}
	env.Setenv("DOCKER_CONFIG", env.WorkDir)
	env.Values[worldKey{}] = w
	return nil
}

func worldOf(ts *testscript.TestScript) *world {
	w, ok := ts.Value(worldKey{}).(*world)
	if !ok {
		ts.Fatalf("the script runs without commandtest.Run")
	}
	return w
}

// push REGISTRY/REPOSITORY[:TAG] [CONTENT [VARIABLE]] writes an image made of CONTENT,
// under no tag when there is none, and puts its digest into $VARIABLE ($DIGEST).
func push(ts *testscript.TestScript, _ bool, args []string) {
	host, rest, _ := strings.Cut(args[0], "/")
	repository, tag, _ := strings.Cut(rest, ":")
	content, variable := repository, "DIGEST"
	if len(args) > 1 {
		content = args[1]
	}
	if len(args) > 2 {
		variable = args[2]
	}
	digest, err := registrytest.Push(context.Background(), host, repository, tag, content)
	ts.Check(err)
	ts.Setenv(variable, digest)
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
	w := worldOf(ts)
	w.mu.Lock()
	w.last = "$ " + strings.Join(args[1:], " ") + "\n" + ts.ReadFile("stderr") + ts.ReadFile("stdout")
	w.mu.Unlock()
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// answers are the faults that "fault" knows.
var answers = map[string]http.HandlerFunc{
	"echo":      echo,
	"hang":      registrytest.Hang,
	"reset":     registrytest.Reset,
	"html":      registrytest.Text(http.StatusOK, "text/html", "<html>log in</html>"),
	"html-404":  registrytest.Text(http.StatusNotFound, "text/html", "<html>no such page</html>"),
	"hostile":   registrytest.Error(http.StatusForbidden, "DENIED", "x\r\n::error::owned\r\n##[error]owned\x1b[31m"),
	"immutable": registrytest.Error(http.StatusConflict, "TAG_IMMUTABLE", "tag is immutable"),
	"405":       registrytest.Error(http.StatusMethodNotAllowed, "UNSUPPORTED", "The operation is unsupported."),
	"401":       registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required"),
	"403":       registrytest.Error(http.StatusForbidden, "DENIED", "requested access to the resource is denied"),
	"429":       registrytest.Error(http.StatusTooManyRequests, "TOOMANYREQUESTS", "slow down"),
	"500":       registrytest.Text(http.StatusInternalServerError, "text/plain", "oops"),
	"503":       registrytest.Text(http.StatusServiceUnavailable, "text/html", "<html>down</html>"),
}

// echo is a registry behind a proxy that asks for a login and shows what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") == "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
		registrytest.Error(http.StatusUnauthorized, "UNAUTHORIZED", "authentication required")(w, r)
		return
	}
	registrytest.Error(http.StatusForbidden, "DENIED", "you sent Authorization: "+r.Header.Get("Authorization"))(w, r)
}

// fault METHOD WHAT TIMES makes $REGISTRY answer wrong; "fault heal" ends that.
func fault(ts *testscript.TestScript, _ bool, args []string) {
	r := worldOf(ts).registry
	if args[0] == "heal" {
		r.Heal()
		return
	}
	times, err := strconv.Atoi(args[2])
	ts.Check(err)
	answer, ok := answers[args[1]]
	if !ok {
		ts.Fatalf("no fault %q", args[1])
	}
	method := args[0]
	if method == "ANY" {
		method = ""
	}
	r.Inject(registrytest.Fault{Method: method, Times: times, Answer: answer})
}

// envsubst FROM TO copies a file with its variables replaced.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(os.Expand(ts.ReadFile(args[0]), ts.Getenv)), 0o600))
}

// valid SCHEMA FILE wants a JSON file, "stdout" included, to be as docs/SCHEMA says.
func valid(ts *testscript.TestScript, docs string, args []string) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(docs, args[0]))
	ts.Check(err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	if err := schema.Validate(value); err != nil {
		ts.Fatalf("%s: %#v", args[1], err)
	}
}
