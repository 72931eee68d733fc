// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/command/commandtest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"regcleanup": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	commandtest.Run(t, commandtest.Script{
		Name: "regcleanup", Registry: "registry.example.com", Setup: startInternet,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"image": image, "index": index, "tags": tags, "hub": hub},
	})
}

// internet is docker.io and ghcr.io, and the APIs beside them.
type internet struct {
	hub       *registrytest.DockerHub
	hubImages *registrytest.Store
	ghcr      *registrytest.GHCR
}

type internetKey struct{}

func startInternet(env *testscript.Env) error {
	n := &internet{
		hub:       registrytest.NewDockerHub(registrytest.HubAccount{Name: "org", Secret: "secret", Delete: true}),
		hubImages: registrytest.NewStore(registrytest.Rules{}),
		ghcr:      registrytest.NewGHCR("ghs_x", "org"),
	}
	n.ghcr.Tokens["ghs_reader"], n.ghcr.Readers = "", []string{"ghs_reader"}
	n.hub.Images = n.hubImages.Registry()
	n.hub.Set("org/app", registrytest.HubRepository{})
	api, err := apitest.GitHub()
	if err != nil {
		return err
	}
	report := func(err error) { panic(fmt.Sprint("not in GitHub's description: ", err)) }
	hosts := map[string]http.Handler{"ghcr.io": n.ghcr.Registry, "api.github.com": n.ghcr.Front(api.Handler(n.ghcr.API(), report))}
	maps.Copy(hosts, n.hub.Hosts())
	servers, err := registrytest.NewInternet(hosts)
	if err != nil {
		return err
	}
	env.Defer(servers.Close)
	variables, err := servers.Environ(env.WorkDir)
	if err != nil {
		return err
	}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		env.Setenv(name, value)
	}
	env.Values[internetKey{}] = n
	return nil
}

// store is where "docker.io/org/app:tag" or "ghcr.io/org/app:tag" is.
func store(ts *testscript.TestScript, ref string) (s *registrytest.Store, repository, tag string) {
	n, ok := ts.Value(internetKey{}).(*internet)
	if !ok {
		ts.Fatalf("the script has no internet")
	}
	host, name, _ := strings.Cut(ref, "/")
	repository, tag, _ = strings.Cut(name, ":")
	if host == "ghcr.io" {
		return n.ghcr.Registry, repository, tag
	}
	return n.hubImages, repository, tag
}

// image REF CONTENT VARIABLE pushes an image.
func image(ts *testscript.TestScript, _ bool, args []string) {
	s, repository, tag := store(ts, args[0])
	ts.Setenv(args[2], s.PutImage(repository, tag, args[1]))
}

// index REF VARIABLE pushes an index of two images that have no tag.
func index(ts *testscript.TestScript, _ bool, args []string) {
	s, repository, tag := store(ts, args[0])
	var parts []string
	for _, platform := range []string{"amd64", "arm64"} {
		parts = append(parts, fmt.Sprintf(`{"mediaType":%q,"digest":%q,"size":1}`, registrytest.MediaTypeManifest, s.PutImage(repository, "", platform)))
	}
	raw := fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[%s]}`, registrytest.MediaTypeIndex, strings.Join(parts, ","))
	ts.Setenv(args[1], s.Put(repository, tag, registrytest.MediaTypeIndex, raw))
}

// tags REPOSITORY TAG... wants exactly these.
func tags(ts *testscript.TestScript, _ bool, args []string) {
	s, repository, _ := store(ts, args[0]+":")
	got := slices.Sorted(maps.Keys(s.Tags(repository)))
	if want := args[1:]; !slices.Equal(got, want) {
		ts.Fatalf("%s has the tags %v, want %v", args[0], got, want)
	}
}

// hub REPOSITORY RULE makes the tags that match RULE immutable.
func hub(ts *testscript.TestScript, _ bool, args []string) {
	n, _ := ts.Value(internetKey{}).(*internet)
	n.hub.Set(args[0], registrytest.HubRepository{Immutable: true, Rules: args[1:]})
}
