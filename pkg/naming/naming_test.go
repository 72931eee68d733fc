// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package naming_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/naming"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
)

const repository = "org/app"

func parse(t *testing.T, s string) registry.Reference {
	t.Helper()
	ref, err := registry.ParseReference(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// namer talks to registries that front may disturb.
func namer(t *testing.T, servers registrytest.InProcess) naming.Namer {
	t.Helper()
	r, err := host.Open(t.Context(), registry.Options{Transport: servers}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return naming.Namer{Registry: r, Policy: retry.Policy{MaxAttempts: 3, InitialDelay: time.Millisecond}}
}

func TestPut(t *testing.T) {
	t.Parallel()
	const ours, old, others = "ours", "old", "others"
	down := registrytest.Text(http.StatusServiceUnavailable, "text/plain", "down")
	for name, test := range map[string]struct {
		tags  map[string]string // before: tag → content
		names []string          // TAG, TAG<CONTENT with what it was before, ~TAG for a moving one
		fault *registrytest.Fault
		want  string            // TAG=outcome …
		after map[string]string // tag → content
	}{
		"a new tag":                         {nil, []string{"1"}, nil, "1=named", map[string]string{"1": ours}},
		"one that is named already":         {map[string]string{"1": ours}, []string{"1"}, nil, "1=already", map[string]string{"1": ours}},
		"one that somebody has taken":       {map[string]string{"1": others}, []string{"1"}, nil, "1=taken", map[string]string{"1": others}},
		"a moving one":                      {map[string]string{"latest": old}, []string{"~latest<old"}, nil, "latest=named", map[string]string{"latest": ours}},
		"a moving one, moved by others":     {map[string]string{"latest": others}, []string{"~latest<old"}, nil, "latest=taken", map[string]string{"latest": others}},
		"a moving one, deleted by others":   {nil, []string{"~latest<old"}, nil, "latest=taken", map[string]string{}},
		"those that stay come first":        {map[string]string{"latest": old}, []string{"~latest<old", "1", "1.2"}, nil, "1=named 1.2=named latest=named", map[string]string{"1": ours, "1.2": ours, "latest": ours}},
		"no moving one without its release": {map[string]string{"1": others, "latest": old}, []string{"~latest<old", "1"}, nil, "1=taken latest=failed", map[string]string{"1": others, "latest": old}},
		"an outage passes":                  {nil, []string{"1"}, &registrytest.Fault{Method: http.MethodPut, Times: 2, Answer: down}, "1=named", map[string]string{"1": ours}},
		"an outage stays":                   {nil, []string{"1"}, &registrytest.Fault{Method: http.MethodPut, Answer: down}, "1=failed", map[string]string{}},
		"no right": {
			nil, []string{"1"}, &registrytest.Fault{Method: http.MethodPut, Answer: registrytest.Error(403, "DENIED", "denied")}, "1=failed", map[string]string{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := registrytest.NewStore(registrytest.Rules{})
			contents := map[string]string{}
			for _, content := range []string{ours, old, others} {
				contents[content] = store.PutImage(repository, "", content)
			}
			for tag, content := range test.tags {
				store.Tag(repository, tag, contents[content])
			}
			faults := &registrytest.Faults{}
			if test.fault != nil {
				faults.Inject(*test.fault)
			}
			var names []naming.Name
			for _, word := range test.names {
				word, moving := strings.CutPrefix(word, "~")
				tag, before, _ := strings.Cut(word, "<")
				names = append(names, naming.Name{
					Tag: parse(t, "r.example.com/"+repository+":"+tag), Digest: contents[ours], Before: contents[before], Moving: moving,
				})
			}
			var got []string
			for _, r := range namer(t, registrytest.InProcess{"r.example.com": faults.Front(store)}).Put(t.Context(), names) {
				got = append(got, r.Tag.Tag+"="+string(r.Outcome))
				if (r.Err == nil) != (r.Outcome == naming.Named || r.Outcome == naming.Already) {
					t.Errorf("%s is %s with the error %v", r.Tag, r.Outcome, r.Err)
				}
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Errorf("Put (-want +got):\n%s", diff)
			}
			after := map[string]string{}
			for tag, digest := range store.Tags(repository) {
				for content, d := range contents {
					if d == digest {
						after[tag] = content
					}
				}
			}
			if diff := cmp.Diff(test.after, after); diff != "" {
				t.Errorf("tags (-want +got):\n%s", diff)
			}
		})
	}
}

// A push that reached one registry is completed by a copy under the same digest, with
// what an index contains, and under no tag.
func TestComplete(t *testing.T) {
	t.Parallel()
	one, two := registrytest.New(true), registrytest.New(false)
	servers := registrytest.InProcess{"one.example.com": one, "two.example.com": two}
	address, stop, err := one.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	digest, err := registrytest.Push(t.Context(), address, repository, "", "x")
	if err != nil {
		t.Fatal(err)
	}
	n := namer(t, servers)
	images := []registry.Reference{
		parse(t, "one.example.com/"+repository+"@"+digest), parse(t, "two.example.com/"+repository+"@"+digest),
		parse(t, "two.example.com/org/other@"+registrytest.Digest("nowhere")),
	}
	copied, err := n.Complete(t.Context(), images)
	if diff := cmp.Diff([]registry.Reference{images[1]}, copied); diff != "" || err != nil {
		t.Errorf("Complete = %v (-want +got):\n%s", err, diff)
	}
	if d, err := n.Registry.Head(t.Context(), images[1]); err != nil || d.Digest != digest {
		t.Errorf("the copy is %+v, %v", d, err)
	}
	again, err := n.Complete(t.Context(), images)
	if len(again) != 0 || err != nil {
		t.Errorf("Complete again = %v, %v", again, err)
	}
}
