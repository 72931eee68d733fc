// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package naming_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
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
	return naming.Namer{Registry: r, Copy: func(ctx context.Context, from, to registry.Reference) error {
		return registry.Copy(ctx, r.Client, from, to)
	}, Policy: retry.Policy{MaxAttempts: 3, InitialDelay: time.Millisecond}}
}

func TestPut(t *testing.T) {
	t.Parallel()
	const ours, old, others = "ours", "old", "others"
	down := registrytest.Text(http.StatusServiceUnavailable, "text/plain", "down")
	for name, test := range map[string]struct {
		tags  map[string]string // before: tag → content
		names []string          // TAG, TAG<CONTENT with what it was before, TAG? where nobody knows, ~TAG for a moving one
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
		"an unknown one, that is not there": {nil, []string{"~latest?"}, nil, "latest=named", map[string]string{"latest": ours}},
		"an unknown one, that is there":     {map[string]string{"latest": old}, []string{"~latest?"}, nil, "latest=taken", map[string]string{"latest": old}},
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
				word, unknown := strings.CutSuffix(word, "?")
				tag, before, _ := strings.Cut(word, "<")
				names = append(names, naming.Name{
					Tag: parse(t, "r.example.com/"+repository+":"+tag), Digest: contents[ours], Before: contents[before], Moving: moving, Unknown: unknown,
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

// Several tags go in one request where the registry says that it has put them, and one by
// one where it does not know how. A tag that somebody has taken is in neither.
func TestPut_together(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		able bool // the registry puts several tags
		puts int
	}{
		"one request": {true, 2},      // the tags that stay, and those that move
		"one each":    {false, 2 + 5}, // the two that were not understood, and each tag
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := registrytest.New(test.able)
			puts := 0
			counted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/") {
					puts++
				}
				server.ServeHTTP(w, r)
			})
			address, stop, err := server.Start()
			if err != nil {
				t.Fatal(err)
			}
			defer stop()
			push := func(tag, content string) string {
				digest, err := registrytest.Push(t.Context(), address, repository, tag, content)
				if err != nil {
					t.Fatal(err)
				}
				return digest
			}
			ours, others := push("", "ours"), push("taken", "others")
			n := namer(t, registrytest.InProcess{"r.example.com": counted})
			var names []naming.Name
			for _, tag := range []string{"1", "1.2", "1.2.3", "~latest", "~edge"} {
				tag, moving := strings.CutPrefix(tag, "~")
				names = append(names, naming.Name{Tag: parse(t, "r.example.com/"+repository+":"+tag), Digest: ours, Moving: moving})
			}
			var got []string
			for _, r := range n.Put(t.Context(), names) {
				d, err := n.Registry.Head(t.Context(), r.Tag)
				if err != nil || d.Digest != ours {
					t.Errorf("%s names %s, %v", r.Tag, d.Digest, err)
				}
				got = append(got, r.Tag.Tag+"="+string(r.Outcome))
			}
			if diff := cmp.Diff("1=named 1.2=named 1.2.3=named latest=named edge=named", strings.Join(got, " ")); diff != "" {
				t.Errorf("Put (-want +got):\n%s", diff)
			}
			if puts != test.puts {
				t.Errorf("%d manifests were put, want %d", puts, test.puts)
			}
			taken := slices.Concat(names[:2], []naming.Name{{Tag: parse(t, "r.example.com/"+repository+":taken"), Digest: ours}})
			for _, r := range n.Put(t.Context(), taken) {
				if want := map[bool]naming.Outcome{true: naming.Taken, false: naming.Already}[r.Tag.Tag == "taken"]; r.Outcome != want {
					t.Errorf("%s is %s, want %s", r.Tag, r.Outcome, want)
				}
			}
			if d, err := n.Registry.Head(t.Context(), taken[2].Tag); err != nil || d.Digest != others {
				t.Errorf("the taken tag names %s, %v", d.Digest, err)
			}
		})
	}
}

// Who keeps a record is told of a name before it is put, and never of one that was there:
// the record would prove that somebody else's tag is the run's, and a clean-up take it
// away. Found by the simulator.
func TestPut_tellsBefore(t *testing.T) {
	t.Parallel()
	store := registrytest.NewStore(registrytest.Rules{})
	ours, others := store.PutImage(repository, "there", "ours"), store.PutImage(repository, "taken", "others")
	n := namer(t, registrytest.InProcess{"r.example.com": store})
	var told []string
	refused := errors.New("the disk is full")
	n.OnPut = func(name naming.Name) error {
		told = append(told, name.Tag.Tag+" is "+store.Tags(repository)[name.Tag.Tag])
		if name.Tag.Tag == "refused" {
			return refused
		}
		return nil
	}
	var names []naming.Name
	for _, tag := range []string{"there", "taken", "new", "refused"} {
		names = append(names, naming.Name{Tag: parse(t, "r.example.com/"+repository+":"+tag), Digest: ours})
	}
	results := n.Put(t.Context(), names)
	// Before the request for both, which the refusal forbids, and before the own of each.
	if diff := cmp.Diff([]string{"new is ", "refused is ", "new is ", "refused is "}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"there": ours, "taken": others, "new": ours}, store.Tags(repository)); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if got := results[3]; got.Outcome != naming.Failed || !errors.Is(got.Err, refused) {
		t.Errorf("the name that must not be put is %s, %v", got.Outcome, got.Err)
	}
}

// What is said of a tag that was left as it is, and what to do next.
func TestTakenError(t *testing.T) {
	t.Parallel()
	tag := parse(t, "r.example.com/"+repository+":1")
	for name, test := range map[string]struct {
		naming.Name

		now, want, hint string
	}{
		"absent before":  {naming.Name{}, "sha256:b", "it was absent before the run and is sha256:b now", "crane tag"},
		"another before": {naming.Name{Before: "sha256:a"}, "no image", "it was sha256:a before the run and is no image now", "crane tag"},
		"nobody knows":   {naming.Name{Unknown: true}, "sha256:b", "it is sha256:b now, and the record does not say what it was", "run tagcheck again"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.Tag = tag
			e := &naming.TakenError{Name: test.Name, Now: test.now}
			if !strings.Contains(e.Error(), test.want) || !strings.Contains(e.Hint(), test.hint) {
				t.Errorf("%q, hint %q", e, e.Hint())
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
