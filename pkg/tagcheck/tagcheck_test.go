// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package tagcheck_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/LerianStudio/pushguard/pkg/actions"
	"github.com/LerianStudio/pushguard/pkg/registry"
	"github.com/LerianStudio/pushguard/pkg/registry/host"
	"github.com/LerianStudio/pushguard/pkg/registry/registrytest"
	"github.com/LerianStudio/pushguard/pkg/retry"
	"github.com/LerianStudio/pushguard/pkg/tagcheck"
)

// tagsOf reads "docker.io/org/app:1=a" (present with digest a), "…=" (absent),
// "…=?" (unknown), and "~…" (moving).
func tagsOf(t *testing.T, lines ...string) []tagcheck.Tag {
	t.Helper()
	tags := make([]tagcheck.Tag, len(lines))
	for i, line := range lines {
		name, digest, _ := strings.Cut(strings.TrimPrefix(line, "~"), "=")
		ref, err := registry.ParseReference(name)
		if err != nil {
			t.Fatal(err)
		}
		tags[i] = tagcheck.Tag{Ref: ref, Moving: line[0] == '~', State: present, Digest: digest}
		switch digest {
		case "":
			tags[i].State = absent
		case "own": // this run's own work, by the record
			tags[i].Own = true
		case "pushed": // absent, and pushed by its digest
			tags[i].State, tags[i].Digest, tags[i].Pushed = absent, "", "pushed"
		case "!": // it exists, and the registry does not let it be read
			tags[i].Digest = ""
		case "?":
			tags[i].State, tags[i].Digest, tags[i].Reason = unknown, "", "outage"
		}
	}
	return tags
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const hub, ghcr = "docker.io/org/app:1", "ghcr.io/other/app:1"
	for name, test := range map[string]struct {
		tags    []string
		verdict tagcheck.Verdict
		exits   [3]int  // with fail, skip, warn
		builds  [3]bool // likewise
		missing string  // "ref<source", the source empty where there is none
	}{
		"nothing there":               {[]string{hub + "=", ghcr + "="}, "new", [3]int{0, 0, 0}, [3]bool{true, true, true}, ""},
		"all there":                   {[]string{hub + "=a", ghcr + "=a"}, "complete", [3]int{1, 0, 0}, [3]bool{false, false, true}, ""},
		"one of two registries":       {[]string{hub + "=a", ghcr + "="}, "partial", [3]int{1, 0, 0}, [3]bool{false, false, true}, ghcr + "<docker.io/org/app@a"},
		"two images under one tag":    {[]string{hub + "=a", ghcr + "=b"}, "conflict", [3]int{4, 4, 4}, [3]bool{}, ""},
		"conflict beside an outage":   {[]string{hub + "=a", ghcr + "=b", "quay.io/x/app:1=?"}, "conflict", [3]int{4, 4, 4}, [3]bool{}, ""},
		"an outage alone":             {[]string{hub + "=?", ghcr + "="}, "unknown", [3]int{3, 3, 3}, [3]bool{}, ""},
		"an outage, one there":        {[]string{hub + "=?", ghcr + "=a"}, "unknown", [3]int{1, 3, 3}, [3]bool{}, ""},
		"an outage, partial":          {[]string{hub + "=?", ghcr + "=a", "quay.io/x/app:1="}, "partial", [3]int{1, 3, 3}, [3]bool{}, "quay.io/x/app:1<ghcr.io/other/app@a"},
		"moving tags are not judged":  {[]string{hub + "=", "~docker.io/org/app:latest=a", "~ghcr.io/org/app:latest=b"}, "new", [3]int{0, 0, 0}, [3]bool{true, true, true}, ""},
		"only moving tags":            {[]string{"~docker.io/org/app:latest=a"}, "new", [3]int{0, 0, 0}, [3]bool{true, true, true}, ""},
		"a moving one is unknown":     {[]string{hub + "=", "~docker.io/org/app:latest=?"}, "new", [3]int{0, 0, 0}, [3]bool{true, true, true}, ""},
		"there, and not to be read":   {[]string{hub + "=!"}, "unknown", [3]int{1, 3, 0}, [3]bool{false, false, true}, ""},
		"one of two not to be read":   {[]string{hub + "=a", ghcr + "=!"}, "unknown", [3]int{1, 3, 0}, [3]bool{false, false, true}, ""},
		"this run's own work":         {[]string{hub + "=own", ghcr + "=own"}, "complete", [3]int{0, 0, 0}, [3]bool{}, ""},
		"half of this run's own work": {[]string{hub + "=own", ghcr + "="}, "partial", [3]int{0, 0, 0}, [3]bool{}, ghcr + "<docker.io/org/app@own"},
		"own, and somebody else's":    {[]string{hub + "=own", ghcr + "=a"}, "conflict", [3]int{4, 4, 4}, [3]bool{}, ""},
		"pushed by its digest":        {[]string{hub + "=pushed", ghcr + "="}, "pushed", [3]int{0, 0, 0}, [3]bool{}, ""},
		"pushed, and one is taken":    {[]string{hub + "=pushed", ghcr + "=a"}, "partial", [3]int{1, 0, 0}, [3]bool{false, false, true}, hub + "<ghcr.io/other/app@a"},
		"pushed, and one is unknown":  {[]string{hub + "=pushed", ghcr + "=?"}, "unknown", [3]int{3, 3, 3}, [3]bool{}, ""},
		"one of two images is pushed": {[]string{hub + "=pushed", "docker.io/org/other:1="}, "new", [3]int{0, 0, 0}, [3]bool{true, true, true}, ""},
		"another tag of the image":    {[]string{"docker.io/org/app:1=a", "docker.io/org/app:1.2="}, "partial", [3]int{1, 4, 0}, [3]bool{false, false, true}, "docker.io/org/app:1.2<"},
		"two images in one registry":  {[]string{"docker.io/a/app:1=a", "docker.io/b/app:1=b"}, "complete", [3]int{1, 0, 0}, [3]bool{false, false, true}, ""},
		"same last part, three hosts": {[]string{"docker.io/a/app:1=a", "docker.io/b/app:1=b", "ghcr.io/a/app:1="}, "partial", [3]int{1, 0, 0}, [3]bool{false, false, true}, "ghcr.io/a/app:1<docker.io/a/app@a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for i, mode := range []tagcheck.Mode{tagcheck.Fail, tagcheck.Skip, tagcheck.Warn} {
				r := tagcheck.Judge(tagsOf(t, test.tags...), mode, tagcheck.Fail)
				exit := []int{0, 1, 3, 4}[r.Outcome]
				var missing []string
				for j, m := range r.Missing {
					source := ""
					if r.CopyFrom[j] != (registry.Reference{}) {
						source = r.CopyFrom[j].String()
					}
					missing = append(missing, m.String()+"<"+source)
				}
				if r.Verdict != test.verdict || exit != test.exits[i] || r.ShouldBuild != test.builds[i] || strings.Join(missing, " ") != test.missing {
					t.Errorf("%s: verdict %s, exit %d, build %t, missing %q; want %s, %d, %t, %q", mode,
						r.Verdict, exit, r.ShouldBuild, missing, test.verdict, test.exits[i], test.builds[i], test.missing)
				}
			}
		})
	}
}

// FuzzJudge: whatever the states, a build never starts over a tag that exists
// unless that was asked for, and never on a registry that could not be asked.
func FuzzJudge(f *testing.F) {
	f.Add("aa-?", "~a-b")
	f.Fuzz(func(t *testing.T, hub, ghcr string) {
		var lines []string
		for host, states := range map[string]string{"docker.io/org/app:": hub, "ghcr.io/org/app:": ghcr} {
			for i, s := range states {
				digest := map[rune]string{'-': "", '?': "?", 'a': "a", '~': "m"}[s]
				moving := map[bool]string{true: "~"}[s == '~']
				lines = append(lines, fmt.Sprintf("%s%s%d=%s", moving, host, i%50, digest))
			}
		}
		tags := tagsOf(t, lines...)
		judged := slices.DeleteFunc(slices.Clone(tags), func(tag tagcheck.Tag) bool { return tag.Moving })
		exists := slices.ContainsFunc(judged, func(tag tagcheck.Tag) bool { return tag.State == present })
		down := slices.ContainsFunc(judged, func(tag tagcheck.Tag) bool { return tag.State == unknown })
		for _, mode := range []tagcheck.Mode{tagcheck.Fail, tagcheck.Skip, tagcheck.Warn} {
			r := tagcheck.Judge(tags, mode, tagcheck.Fail)
			if r.ShouldBuild && (exists && mode != tagcheck.Warn || down || r.Outcome != tagcheck.GoOn) || len(r.Missing) != len(r.CopyFrom) {
				t.Errorf("%s over %q: %+v", mode, lines, r)
			}
		}
	})
}

// One HEAD a tag, one token a repository, and the answers in the order asked.
func TestCheck_requests(t *testing.T) {
	logIn(t, map[string]string{"one.example.com": "me:secret", "two.example.com": "me:secret"})
	var mu sync.Mutex
	asked := map[string]int{}
	hosts := map[string]http.Handler{}
	for _, host := range []string{"one.example.com", "two.example.com"} {
		s := store(t)
		for i := range 20 {
			s.PutImage("org/app", fmt.Sprint(i), "one")
		}
		tokens := func(w http.ResponseWriter, r *http.Request) { good(w, r) }
		hosts[host] = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.Method+" "+strings.Split(r.URL.Path, "/")[1]+map[bool]string{true: " anonymous"}[r.Header.Get("Authorization") == ""]]++
			mu.Unlock()
			guarded(host, tokens, s)[host].ServeHTTP(w, r)
		})
	}
	client, err := host.Open(t.Context(), registry.Options{Transport: registrytest.InProcess(hosts)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var refs []registry.Reference
	for i := range 20 {
		for host := range hosts {
			refs = append(refs, registry.Reference{Registry: host, Repository: "org/app", Tag: fmt.Sprint(i)})
		}
	}
	tags := tagcheck.Checker{Registry: client}.Check(t.Context(), append(refs, refs...), []string{"1?"})
	if len(tags) != len(refs) {
		t.Fatalf("%d tags, want %d: duplicates once", len(tags), len(refs))
	}
	for i, tag := range tags {
		if tag.Ref != refs[i] || tag.State != present || tag.Moving != (len(tag.Ref.Tag) == 2 && tag.Ref.Tag[0] == '1') {
			t.Errorf("tag %d: %+v, want %s", i, tag, refs[i])
		}
	}
	// The first HEAD of a repository learns that a token is needed.
	want := map[string]int{"HEAD v2 anonymous": 2, "GET token": 2, "HEAD v2": 40}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// A registry without tokens is asked for all tags at once: one HEAD each.
func TestCheck_requestsWithoutTokens(t *testing.T) {
	logIn(t, nil)
	s := store(t)
	faults := registrytest.Faults{}
	client, err := host.Open(t.Context(), registry.Options{Transport: registrytest.InProcess{"one.example.com": faults.Front(s)}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var refs []registry.Reference
	var want []string
	for i := range 20 {
		s.PutImage("org/app", fmt.Sprint(i), "one")
		refs = append(refs, registry.Reference{Registry: "one.example.com", Repository: "org/app", Tag: fmt.Sprint(i)})
		want = append(want, fmt.Sprint("HEAD /v2/org/app/manifests/", i))
	}
	tagcheck.Checker{Registry: client}.Check(t.Context(), refs, nil)
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(faults.Requests()))); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// heads answers as its function does.
type heads func(ctx context.Context, ref registry.Reference) (registry.Descriptor, error)

func (heads) Challenges(registry.Reference) bool { return true }

func (heads) Of(ref registry.Reference) interface{ About() *host.Host } {
	return host.Of(ref.Registry, nil)
}

func (heads) WarnCreate(*registry.Error) string { return "" }

func (h heads) Head(ctx context.Context, ref registry.Reference) (registry.Descriptor, error) {
	return h(ctx, ref)
}

// A registry that is down is asked as long as the policy allows once a repository,
// not once a tag, and the other's answers do not wait for it.
func TestCheck_oneRegistryDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		tries := 0
		answered := map[string]time.Duration{}
		start := time.Now()
		asks := heads(func(ctx context.Context, ref registry.Reference) (registry.Descriptor, error) {
			if ref.Registry == "down.example.com" {
				mu.Lock()
				tries++
				mu.Unlock()
				time.Sleep(30 * time.Second) // it does not answer
				return registry.Descriptor{}, &registry.Error{Op: "check", Ref: ref, Kind: registry.KindOutage}
			}
			mu.Lock()
			answered[ref.Tag] = time.Since(start)
			mu.Unlock()
			return registry.Descriptor{Digest: registrytest.Digest("x")}, nil
		})
		var refs []registry.Reference
		for i := range 50 {
			for _, name := range []string{"down.example.com", "up.example.com"} {
				refs = append(refs, registry.Reference{Registry: name, Repository: "org/app", Tag: fmt.Sprint(i)})
			}
		}
		tags := tagcheck.Checker{Registry: asks, Policy: retry.Policy{MaxAttempts: 3, InitialDelay: time.Second}}.Check(t.Context(), refs, nil)
		if tries != 3 || len(answered) != 50 {
			t.Errorf("the registry that is down was asked %d times, want 3; the other answered %d of 50", tries, len(answered))
		}
		for tag, after := range answered {
			if after > 0 {
				t.Errorf("tag %s of the other registry waited %s", tag, after)
			}
		}
		for _, tag := range tags {
			e, ok := tag.Err.(*registry.Error) //nolint:errorlint // the first one's is in a GaveUpError
			if tag.Ref.Registry == "down.example.com" && (tag.State != unknown || tag.Reason != "outage" || ok && e.Ref != tag.Ref) {
				t.Errorf("%+v", tag)
			}
		}
	})
}

// FuzzCheck: whatever a server answers, a tag is absent only after a 404 with a
// registry's own code, and what is shown of it is harmless.
func FuzzCheck(f *testing.F) {
	f.Add(404, "application/json", `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"x"}]}`, "")
	f.Add(403, "application/json", "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"\\r\\n::error::x\\u001b[31m ##[error]\"}]}", "sha256:x")
	f.Add(401, "text/html", "<html>", `Bearer realm="http://169.254.169.254/latest/meta-data",service="x",scope="y"`)
	f.Add(200, "application/vnd.oci.image.manifest.v1+json", `{"schemaVersion":2}`, "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
	f.Fuzz(func(t *testing.T, status int, contentType, body, header string) {
		if status < 200 || status > 599 {
			return
		}
		hosts := map[string]http.Handler{"x.example.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name, value := range map[string]string{
				"Content-Type": contentType, "Docker-Content-Digest": header, "WWW-Authenticate": header,
				"Retry-After": header, "Ratelimit-Remaining": header, "Warning": header, "Location": header,
			} {
				w.Header().Set(name, strings.Map(func(r rune) rune { return map[bool]rune{true: r, false: -1}[r >= ' ' && r < 0x7f] }, value))
			}
			w.WriteHeader(status)
			if r.Method != http.MethodHead {
				_, _ = w.Write([]byte(body))
			}
		})}
		client, err := host.Open(t.Context(), registry.Options{Transport: registrytest.InProcess(hosts), Timeout: time.Second}, nil)
		if err != nil {
			t.Fatal(err)
		}
		ref := registry.Reference{Registry: "x.example.com", Repository: "org/app", Tag: "1"}
		tag := tagcheck.Checker{Registry: client, Policy: retry.Policy{MaxAttempts: 1}}.Check(t.Context(), []registry.Reference{ref}, nil)[0]
		var answer struct {
			Errors []struct{ Code string }
		}
		_ = json.Unmarshal([]byte(body), &answer)
		own := len(answer.Errors) > 0 && slices.Contains([]string{"MANIFEST_UNKNOWN", "NAME_UNKNOWN", "TAG_EXPIRED", "NOT_FOUND"}, answer.Errors[0].Code)
		switch {
		case tag.State == absent && (status != http.StatusNotFound || !own):
			t.Errorf("absent after %d %q", status, body)
		case tag.State == present && (status >= 300 || !registry.ValidDigest(tag.Digest)):
			t.Errorf("present as %q after %d", tag.Digest, status)
		case tag.State == unknown && (tag.Reason == "" || len(tag.Err.Error()) > 1000 || strings.ContainsAny(actions.Plain(tag.Err.Error()), "\x1b\r\n")):
			t.Errorf("%q: %v", tag.Reason, tag.Err)
		}
	})
}

func FuzzReferences(f *testing.F) {
	f.Add("org/app:1", "# x\n\nghcr.io/org/app:2\n", "org/a,org/b", "1\n2", `{"tags":["a:1"]}`)
	f.Fuzz(func(t *testing.T, arg, stdin, names, tags, metadata string) {
		refs, err := tagcheck.Input{
			Images: []string{arg, "-"}, Stdin: strings.NewReader(stdin), Names: []string{names}, Tags: []string{tags}, Metadata: metadata,
		}.References()
		for _, ref := range refs {
			if err == nil && (ref.Tag == "" || ref.Digest != "" || ref.Registry == "") {
				t.Errorf("References = %+v", ref)
			}
		}
	})
}
