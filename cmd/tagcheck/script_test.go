// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/LerianStudio/pushguard/pkg/command/commandtest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest/apitest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tagcheck": main})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	commandtest.Run(t, commandtest.Script{
		Name: "tagcheck", Setup: startDockerHub,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"hub": hub, "pulls": pulls},
	})
}

type hubKey struct{}

// startDockerHub gives a script a Docker Hub, whose API is held to Docker's own
// description; the command reaches it through a proxy.
func startDockerHub(env *testscript.Env) error {
	d := registrytest.NewDockerHub(registrytest.HubAccount{Name: "org", Secret: "secret"})
	api, err := apitest.DockerHub()
	if err != nil {
		return err
	}
	hosts := d.Hosts()
	hosts["hub.docker.com"] = api.Handler(hosts["hub.docker.com"], func(err error) { panic(fmt.Sprint("not in Docker Hub's description: ", err)) })
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
	env.Values[hubKey{}] = d
	return nil
}

// hub REPOSITORY:TAG [RULE...] pushes an image and makes the tags that match a rule
// immutable.
func hub(ts *testscript.TestScript, _ bool, args []string) {
	d, _ := ts.Value(hubKey{}).(*registrytest.DockerHub)
	repository, tag, _ := strings.Cut(args[0], ":")
	s := registrytest.NewStore(registrytest.Rules{})
	s.PutImage(repository, tag, "one")
	d.Images = s.Registry()
	d.Set(repository, registrytest.HubRepository{Immutable: len(args) > 1, Rules: args[1:]})
}

// pulls N says how many pulls are left.
func pulls(ts *testscript.TestScript, _ bool, args []string) {
	d, _ := ts.Value(hubKey{}).(*registrytest.DockerHub)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	d.SetPulls(n)
}
