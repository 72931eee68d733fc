// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench times tagcheck beside the loops that it replaces: crane digest,
// regctl manifest head and skopeo inspect, over the same two registries, each request
// of which takes 50 ms, in one run. It fails only when tagcheck reads a manifest.
package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
)

// The peers' versions; skopeo is the system's, where it has one.
const (
	crane  = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
	regctl = "github.com/regclient/regclient/cmd/regctl@v0.11.7"
)

const (
	delay = 50 * time.Millisecond
	most  = 1000 // references, for the memory
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

// contender is one way to ask for references: in one command or one by one.
type contender struct {
	name    string
	command func(refs []string) [][]string
}

func run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "pushguard-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	registries, hosts, stop, err := start(ctx)
	if err != nil {
		return err
	}
	defer stop()
	contenders, err := build(ctx, dir)
	if err != nil {
		return err
	}
	refs := make([]string, most)
	for i := range refs {
		refs[i] = fmt.Sprintf("%s/org/app:%d", hosts[i%2], i/2)
	}
	if err := compare(ctx, out, dir, contenders, refs); err != nil {
		return err
	}
	return requests(ctx, out, dir, contenders[0].command(refs)[0], registries)
}

// compare prints a row for each number of references; the first contender is tagcheck.
func compare(ctx context.Context, out io.Writer, dir string, contenders []contender, refs []string) error {
	_, _ = fmt.Fprintf(out, "references on 2 registries, %s a request; median of the runs, and as a ratio to tagcheck\n\n", delay)
	_, _ = fmt.Fprintln(out, "| references | "+names(contenders)+" |\n| --- |"+strings.Repeat(" --- |", len(contenders)))
	ours := map[int]time.Duration{}
	for _, n := range []int{1, 20, 200} {
		cells := []string{strconv.Itoa(n)}
		for i, c := range contenders {
			times := 5
			if i > 0 && n > 20 {
				times = 1 // a loop over 200 takes a minute
			}
			took, err := measure(ctx, dir, c.command(refs[:n]), times)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if i == 0 {
				ours[n] = took
				cells = append(cells, fmt.Sprintf("%d ms", took.Milliseconds()))
				continue
			}
			cells = append(cells, fmt.Sprintf("%d ms, %.1f×", took.Milliseconds(), took.Seconds()/ours[n].Seconds()))
		}
		_, _ = fmt.Fprintln(out, "| "+strings.Join(cells, " | ")+" |")
	}
	_, err := fmt.Fprintf(out, "\n20 references take %.2f× the time of one.\n", ours[20].Seconds()/ours[1].Seconds())
	return err
}

// requests counts what tagcheck asks for all references, and its memory.
func requests(ctx context.Context, out io.Writer, dir string, command []string, registries []*registrytest.Registry) error {
	for _, r := range registries {
		r.Requests()
	}
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = environ(dir)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	counts := map[string]int{}
	for _, r := range registries {
		for _, asked := range r.Requests() {
			method, _, _ := strings.Cut(asked, " ")
			counts[method]++
		}
	}
	_, _ = fmt.Fprintf(out, "\n%d references: %d HEAD, %d GET of a manifest, peak memory %.1f MiB.\n", most, counts[http.MethodHead], counts[http.MethodGet], peak(cmd.ProcessState))
	if counts[http.MethodGet] > 0 {
		return fmt.Errorf("%d manifests were read: Docker Hub counts that as pulls", counts[http.MethodGet])
	}
	return nil
}

// start serves two slow registries that hold all references.
func start(ctx context.Context) (registries []*registrytest.Registry, hosts []string, stop func(), err error) {
	var stops []func()
	for range 2 {
		r := registrytest.New(true)
		host, stopOne, err := registrytest.Serve(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			<-time.After(delay)
			r.ServeHTTP(w, req)
		}))
		if err != nil {
			return nil, nil, nil, err
		}
		fast, stopFast, err := r.Start()
		if err != nil {
			return nil, nil, nil, err
		}
		for i := range most / 2 {
			if _, err := registrytest.Push(ctx, fast, "org/app", fmt.Sprint(i), "the image"); err != nil {
				return nil, nil, nil, err
			}
		}
		stopFast()
		registries, hosts, stops = append(registries, r), append(hosts, host), append(stops, stopOne)
	}
	return registries, hosts, func() {
		for _, s := range stops {
			s()
		}
	}, nil
}

// build builds tagcheck and its peers into dir.
func build(ctx context.Context, dir string) ([]contender, error) {
	tagcheck := filepath.Join(dir, "tagcheck")
	if err := goTool(ctx, dir, "build", "-trimpath", "-ldflags=-s -w", "-tags", "urfave_cli_no_docs", "-o", tagcheck, "./cmd/tagcheck"); err != nil {
		return nil, err
	}
	for _, peer := range []string{crane, regctl} {
		if err := goTool(ctx, dir, "install", peer); err != nil {
			return nil, err
		}
	}
	each := func(command func(ref string) []string) func([]string) [][]string {
		return func(refs []string) (all [][]string) {
			for _, ref := range refs {
				all = append(all, command(ref))
			}
			return all
		}
	}
	contenders := []contender{
		{"tagcheck", func(refs []string) [][]string {
			return [][]string{append([]string{tagcheck, "--on-existing=skip", "--quiet"}, refs...)}
		}},
		{"crane digest", each(func(ref string) []string { return []string{filepath.Join(dir, "crane"), "digest", ref} })},
		{"regctl manifest head", each(func(ref string) []string {
			host, _, _ := strings.Cut(ref, "/")
			return []string{filepath.Join(dir, "regctl"), "--host", "reg=" + host + ",tls=disabled", "manifest", "head", ref}
		})},
	}
	if skopeo, err := exec.LookPath("skopeo"); err == nil {
		contenders = append(contenders, contender{"skopeo inspect", each(func(ref string) []string {
			return []string{skopeo, "inspect", "--tls-verify=false", "--no-tags", "--format", "{{.Digest}}", "docker://" + ref}
		})})
	}
	return contenders, nil
}

func goTool(ctx context.Context, bin string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "GOBIN="+bin)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, text)
	}
	return nil
}

// measure runs the commands one after another and returns the median of the times.
func measure(ctx context.Context, dir string, commands [][]string, times int) (time.Duration, error) {
	var took []time.Duration
	for range times {
		begin := time.Now()
		for _, command := range commands {
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Env = environ(dir)
			if text, err := cmd.CombinedOutput(); err != nil {
				return 0, fmt.Errorf("%w: %s", err, text)
			}
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}

// environ is an environment without logins.
func environ(dir string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "DOCKER_CONFIG=" + dir}
}

func names(contenders []contender) string {
	list := make([]string, len(contenders))
	for i, c := range contenders {
		list[i] = c.name
	}
	return strings.Join(list, " | ")
}
