// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// TestRecorded puts the built commands in front of answers that real registries gave.
// testdata/README.md describes the files. PUSHGUARD_RECORDED names other recordings:
// a folder, or one file with a list of them.
func TestRecorded(t *testing.T) {
	t.Parallel()
	// The commands are built, not imported: having read their folders makes go test
	// forget a cached result when they change.
	for _, dir := range []string{"cmd", "pkg"} {
		if err := filepath.WalkDir(filepath.Join("..", "..", "..", dir), func(_ string, _ fs.DirEntry, err error) error { return err }); err != nil {
			t.Fatal(err)
		}
	}
	source := os.Getenv("PUSHGUARD_RECORDED")
	if source == "" {
		source = "testdata"
	}
	recordings := load(t, source)
	if len(recordings) == 0 {
		t.Fatalf("%s has no recordings", source)
	}
	for _, r := range recordings {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.replay(t)
		})
	}
}

// recording is one answer of a registry, and what a command should make of it.
type recording struct {
	name string // its path below testdata without .json, or its ID

	ID       string            `json:"id"`
	Registry string            `json:"registry"`
	Kind     string            `json:"kind"`
	Request  string            `json:"request"`
	Status   int               `json:"status"`
	Headers  map[string]string `json:"headers"`
	Body     string            `json:"body"`
	Fidelity string            `json:"fidelity"`
	Source   string            `json:"source"`
	Date     string            `json:"date"`
	Note     string            `json:"note"`

	Tool     string            `json:"tool"`
	Ref      string            `json:"ref"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Login    map[string]string `json:"login"` // host → user:password
	Record   json.RawMessage   `json:"record"`
	Routes   []*route          `json:"routes"`
	Expected map[string]oneOf  `json:"expected"`
}

// route is an answer of the stand-in for a host. Empty conditions always hold.
type route struct {
	Host        string            `json:"host"`
	Method      pattern           `json:"method"`
	Path        pattern           `json:"path"` // the escaped path, without the query
	Auth        string            `json:"auth"` // none, some, or how Authorization begins
	AcceptLacks string            `json:"accept_lacks"`
	Times       int               `json:"times"` // answers that often, then no more
	After       pattern           `json:"after"` // over each earlier request
	Until       pattern           `json:"until"`
	Status      int               `json:"status"`
	Headers     map[string]string `json:"headers"`
	Body        string            `json:"body"`

	used int
}

// pattern is a regular expression.
type pattern struct{ *regexp.Regexp }

func (p *pattern) UnmarshalText(text []byte) (err error) {
	p.Regexp, err = regexp.Compile(string(text))
	return err
}

// whole tells whether p matches all of text.
func (p pattern) whole(text string) bool {
	if p.Regexp == nil {
		return true
	}
	p.Longest()
	return p.FindString(text) == text
}

// oneOf is what may be expected: a value, or a list of which any will do.
type oneOf []any

func (o *oneOf) UnmarshalJSON(raw []byte) error {
	if raw[0] == '[' {
		return json.Unmarshal(raw, (*[]any)(o))
	}
	*o = make([]any, 1)
	return json.Unmarshal(raw, &(*o)[0])
}

func load(t *testing.T, source string) []*recording {
	t.Helper()
	var recordings []*recording
	read := func(path string, value any) {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(bytes.NewReader(raw))
		d.DisallowUnknownFields()
		if err := d.Decode(value); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	if info, err := os.Stat(source); err == nil && !info.IsDir() {
		read(source, &recordings)
		for _, r := range recordings {
			r.name = r.ID
		}
		return recordings
	}
	paths, err := filepath.Glob(filepath.Join(source, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		r := &recording{name: filepath.Base(filepath.Dir(path)) + "/" + strings.TrimSuffix(filepath.Base(path), ".json")}
		read(path, r)
		if r.ID != filepath.Base(r.name) {
			t.Errorf("%s: id %q is not the file's name", path, r.ID)
		}
		if r.Source == "" || r.Date == "" || r.Fidelity == "" {
			t.Errorf("%s: source, date and fidelity are required", path)
		}
		recordings = append(recordings, r)
	}
	return recordings
}

func (r *recording) replay(t *testing.T) {
	t.Helper()
	s := &standIn{routes: r.Routes, logins: map[string]int{}}
	hosts := map[string]http.Handler{}
	for _, route := range r.Routes {
		hosts[route.Host] = s.host(route.Host)
	}
	internet, err := registrytest.NewInternet(hosts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(internet.Close)
	run := r.run(t, internet)

	for _, host := range internet.Lost() {
		t.Errorf("asked for the host %s, of which nothing is recorded", host)
	}
	for _, request := range s.unanswered {
		t.Errorf("no route answers %s", request)
	}
	got, want := map[string]any{}, map[string]any{}
	for member, expected := range r.Expected {
		got[member], want[member] = run.judge(t, member, expected, s)
	}
	diff := cmp.Diff(want, got)
	if diff != "" {
		t.Errorf("expected (-want +got):\n%s", diff)
	}
	if t.Failed() {
		t.Logf("$ %s\nexit %d\nstdout: %s\nstderr:\n%s\nrequests:\n%s", run.line, run.exit, run.stdout, run.stderr, strings.Join(s.requests, "\n"))
	}
}

// outcome is what came of a command.
type outcome struct {
	line   string
	exit   int
	stdout string
	stderr string
	tag    map[string]any // the first one that --json reports
}

func (r *recording) run(t *testing.T, internet *registrytest.Internet) *outcome {
	t.Helper()
	dir := t.TempDir()
	environ, err := internet.Environ(dir)
	if err != nil {
		t.Fatal(err)
	}
	environ = append(environ, "HOME="+dir, "DOCKER_CONFIG="+dir, "PATH="+os.Getenv("PATH"))
	for name, value := range r.Env {
		environ = append(environ, name+"="+value)
	}
	auths := map[string]any{}
	for host, login := range r.Login {
		auths[host] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(login))}
	}
	write(t, filepath.Join(dir, "config.json"), map[string]any{"auths": auths})

	args := []string{"--json", "--timeout=10s", "--max-attempts=2", "--initial-delay=1ms", "--max-delay=1ms", "--max-elapsed=12s"}
	if r.Tool == "regcleanup" {
		args = append(args, "--delete", "--yes")
	}
	if r.Record != nil {
		path := filepath.Join(dir, "record.json")
		write(t, path, r.Record)
		args = append(args, "--record="+path)
	}
	args = append(args, r.Args...)
	if r.Ref != "" {
		args = append(args, r.Ref)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, command(t, r.Tool), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environ, &stdout, &stderr
	err = cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	o := &outcome{
		line: r.Tool + " " + strings.Join(args, " "), exit: cmd.ProcessState.ExitCode(),
		stdout: stdout.String(), stderr: stderr.String(),
	}
	var report struct {
		Tags []map[string]any `json:"tags"`
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || len(report.Tags) == 0 {
		t.Errorf("stdout reports no tag (%v)", err)
	} else {
		o.tag = report.Tags[0]
	}
	return o
}

// judge returns what came of an expected member and what should have: the same value
// twice if it is as expected.
func (o *outcome) judge(t *testing.T, member string, expected oneOf, s *standIn) (got, want any) {
	t.Helper()
	subject, rule := member, ""
	if i := strings.LastIndexByte(member, '_'); i > 0 && member != "by_hand" {
		subject, rule = member[:i], member[i+1:]
	}
	switch subject {
	case "exit":
		got = float64(o.exit)
	case "stderr":
		got = o.stderr
	case "requests":
		got = s.requests
	case "logins":
		most := 0
		for _, n := range s.logins {
			most = max(most, n)
		}
		got = float64(most)
	default:
		if got = o.tag[subject]; got == nil {
			got = ""
		}
	}
	var holds func(any) bool
	switch rule {
	case "":
		holds = func(e any) bool { return got == e }
	case "max":
		holds = func(e any) bool { return got.(float64) <= e.(float64) }
	case "has":
		holds = func(e any) bool { return strings.Contains(got.(string), e.(string)) }
	case "not":
		holds = func(e any) bool { return strings.Contains(got.(string), e.(string)) }
		if subject == "requests" {
			holds = func(e any) bool { return slices.ContainsFunc(s.requests, regexp.MustCompile(e.(string)).MatchString) }
		}
	default:
		t.Fatalf("expected has an unknown member %q", member)
	}
	if slices.ContainsFunc(expected, holds) != (rule == "not") {
		return got, got
	}
	want = fmt.Sprintf("%s %v", rule, []any(expected))
	return got, want
}

// standIn answers for all hosts of a recording.
type standIn struct {
	mu         sync.Mutex
	routes     []*route
	requests   []string // as "METHOD host/path"
	unanswered []string
	logins     map[string]int // that were sent, by host
}

func (s *standIn) host(host string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		request := req.Method + " " + host + req.URL.EscapedPath()
		s.mu.Lock()
		defer s.mu.Unlock()
		earlier := s.requests
		s.requests = append(s.requests, request)
		if logsIn(req) {
			s.logins[host]++
		}
		for _, r := range s.routes {
			if r.Host == host && r.answers(req, earlier) {
				r.used++
				r.write(w, req)
				return
			}
		}
		s.unanswered = append(s.unanswered, request)
		http.Error(w, "not recorded", http.StatusNotImplemented)
	})
}

// logsIn tells whether req sends a password: to a token service, or to Docker Hub's API.
func logsIn(req *http.Request) bool {
	return strings.HasPrefix(req.Header.Get("Authorization"), "Basic ") ||
		req.Method == http.MethodPost && slices.Contains([]string{"/v2/auth/token", "/v2/users/login", "/token", "/oauth2/token"}, strings.TrimSuffix(req.URL.Path, "/"))
}

func (r *route) answers(req *http.Request, earlier []string) bool {
	auth := req.Header.Get("Authorization")
	switch {
	case r.Times > 0 && r.used >= r.Times,
		!r.Method.whole(req.Method), !r.Path.whole(req.URL.EscapedPath()),
		r.Auth == "none" && auth != "", r.Auth == "some" && auth == "",
		r.Auth != "" && r.Auth != "none" && r.Auth != "some" && !strings.HasPrefix(auth, r.Auth),
		r.AcceptLacks != "" && strings.Contains(strings.Join(req.Header.Values("Accept"), ","), r.AcceptLacks),
		r.After.Regexp != nil && !slices.ContainsFunc(earlier, r.After.MatchString),
		r.Until.Regexp != nil && slices.ContainsFunc(earlier, r.Until.MatchString):
		return false
	}
	return true
}

func (r *route) write(w http.ResponseWriter, req *http.Request) {
	for name, value := range r.Headers {
		// A recorded length belongs to the body that was recorded; without one it is
		// all that is known of it.
		if strings.EqualFold(name, "Content-Length") && req.Method != http.MethodHead {
			continue
		}
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write([]byte(r.Body))
}

func write(t *testing.T, path string, value any) {
	t.Helper()
	raw, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// command builds a command when it is first needed.
func command(t *testing.T, name string) string {
	t.Helper()
	build, known := builds[name]
	if !known {
		t.Fatalf("no command %q, only %v", name, slices.Sorted(maps.Keys(builds)))
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builds = map[string]func() (string, error){
	"tagcheck": builder("tagcheck"), "signretry": builder("signretry"), "regcleanup": builder("regcleanup"),
}

var bin string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "pushguard"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		return m.Run()
	}())
}

func builder(name string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		path := filepath.Join(bin, name)
		if runtime.GOOS == "windows" {
			path += ".exe"
		}
		if output, err := exec.Command("go", "build", "-o", path, "../../../cmd/"+name).CombinedOutput(); err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, output)
		}
		return path, nil
	})
}
