// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package record_test

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/LerianStudio/pushguard/pkg/record"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

var at = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// full has every field set.
func full() *record.Record {
	r := record.New(record.Run{ID: "1234", Attempt: 2, Repository: "org/app", SHA: "abc", URL: "https://github.com/org/app/actions/runs/1234", Call: "api"})
	r.Tags = append(r.Tags, record.Tag{
		Ref:        "docker.io/org/app:1.2.3",
		Before:     &record.State{State: record.Absent, CheckedAt: at},
		Now:        &record.State{State: record.Unknown, Reason: "outage", CheckedAt: at},
		Immutable:  &record.Immutable{State: "yes", Rule: "^[0-9].*"},
		Published:  &record.Published{Digest: digest, Source: "buildx-metadata", At: at},
		Signatures: []record.Signature{{Format: "bundle", Digest: digest, Log: &record.LogEntry{URL: "https://rekor.sigstore.dev", Index: 42}, At: at}},
		Cleanup:    &record.Cleanup{Action: "delete", Outcome: "blocked", Reason: "immutable", At: at},
	}, record.Tag{
		Ref: "docker.io/org/app:latest", Moving: true,
		Before: &record.State{State: record.Present, Digest: digest, CheckedAt: at},
	})
	return r
}

// saved writes r to a new file, which it names.
func saved(t *testing.T, r *record.Record) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "record.json")
	save(t, path, r)
	return path
}

func save(t *testing.T, path string, r *record.Record) {
	t.Helper()
	opened, err := record.Open(path, r.Run, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	opened.Tags = r.Tags
	if err := opened.Save(); err != nil {
		t.Fatal(err)
	}
}

func TestSave_openGivesTheSame(t *testing.T) {
	t.Parallel()
	path := saved(t, full())
	got, err := record.Open(path, full().Run, record.Options{MustExist: true})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, ignoreUnknown); diff != "" {
		t.Errorf("Open after Save (-want +got):\n%s", diff)
	}
	validate(t, path)
}

var ignoreUnknown = cmpopts.IgnoreUnexported(record.Record{}, record.Run{}, record.Tag{}, record.State{},
	record.Immutable{}, record.Published{}, record.Signature{}, record.Unsigned{}, record.LogEntry{}, record.Cleanup{})

func validate(t *testing.T, path string) {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/record.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s:\n%#v", data, err)
	}
}

func TestParse_keepsUnknownFieldsAtEveryLevel(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(full())
	if err != nil {
		t.Fatal(err)
	}
	// Every object gets a member that this version does not know.
	newer := strings.ReplaceAll(string(data), "{", `{"zz_new":{"a":[1,"<&>"]},`)
	newer = strings.ReplaceAll(newer, `{"zz_new":{"zz_new"`, `{"zz_new"`)
	r, err := record.Parse([]byte(newer))
	if err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(generic(t, []byte(newer)), generic(t, again)); diff != "" {
		t.Errorf("written again (-read +written):\n%s", diff)
	}
}

func generic(t *testing.T, data []byte) (value any) {
	t.Helper()
	if err := json.Unmarshal(data, &value); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return value
}

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	for data, want := range map[string]string{
		``:   "not a run record: unexpected end of JSON input",
		`[]`: "not a run record: ",
		`{}`: `schema is "", this version reads "pushguard.record/v1"`,
		`{"schema":"pushguard.record/v2","tags":7}`:                 `schema is "pushguard.record/v2", this version reads "pushguard.record/v1"`,
		`{"schema":"pushguard.record/v1","tags":7}`:                 "not a run record: ",
		`{"schema":"pushguard.record/v1","tags":[{"moving":true}]}`: "tags[0] has no ref",
	} {
		_, err := record.Parse([]byte(data))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, want %q", data, err, want)
		}
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	ours := record.Run{ID: "7", Attempt: 2, Repository: "org/app", SHA: "def"}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	record1 := func(run string) string { return `{"schema":"pushguard.record/v1","run":` + run + `,"tags":[]}` }
	own := file("own.json", record1(`{"id":"7","attempt":1,"repository":"org/app","sha":"abc","url":"u"}`))
	other := file("other.json", record1(`{"id":"8","repository":"org/app"}`))
	call := file("call.json", record1(`{"id":"7","repository":"org/app","call":"api"}`))
	broken, none := file("broken.json", "{"), filepath.Join(dir, "none.json")
	type result struct {
		Run   record.Run
		Error string
	}
	const notNow = `, this is run "7" of "org/app"`
	for name, test := range map[string]struct {
		path string
		opts record.Options
		want result
	}{
		"in memory":         {"", record.Options{}, result{Run: ours}},
		"new":               {none, record.Options{}, result{Run: ours}},
		"its own":           {own, record.Options{}, result{Run: record.Run{ID: "7", Attempt: 2, Repository: "org/app", SHA: "def", URL: "u"}}},
		"its own, any run":  {own, record.Options{AnyRun: true}, result{Run: record.Run{ID: "7", Attempt: 2, Repository: "org/app", SHA: "def", URL: "u"}}},
		"another's":         {other, record.Options{}, result{Error: "*record.OtherRunError: the record " + other + ` belongs to run "8" of "org/app"` + notNow}},
		"another's allowed": {other, record.Options{AnyRun: true}, result{Run: record.Run{ID: "8", Repository: "org/app"}}},
		"another call's":    {call, record.Options{}, result{Error: "*record.OtherRunError: the record " + call + ` belongs to call "api" in run "7" of "org/app"` + notNow}},
		"none, needed":      {none, record.Options{MustExist: true}, result{Error: "*record.UnusableError: read record " + none + ": file does not exist"}},
		"broken":            {broken, record.Options{}, result{Error: "*record.UnusableError: read record " + broken + ": not a run record: unexpected end of JSON input"}},
		"a folder":          {dir, record.Options{}, result{Error: "*record.UnusableError: read record " + dir + ": it is a folder"}},
		"below a file":      {filepath.Join(own, "x"), record.Options{}, result{Error: "*fmt.wrapError: read record: open " + filepath.Join(own, "x") + ": not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if runtime.GOOS == "windows" && name == "below a file" {
				t.Skip("Windows says that there is no such path")
			}
			var got result
			r, err := record.Open(test.path, ours, test.opts)
			if err != nil {
				got.Error = fmt.Sprintf("%T: %v", err, err)
			} else {
				got.Run = r.Run
			}
			if diff := cmp.Diff(test.want, got, ignoreUnknown); diff != "" {
				t.Errorf("Open (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSave_failureLeavesTheOldOneAndNoTemporaryFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "folder")
	r, err := record.Open(path, record.Run{}, record.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(path, "in-the-way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Save(); err == nil {
		t.Error("Save over a folder succeeded")
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// TestSave_killed kills writers in the middle of their work: what is left
// always parses.
func TestSave_killed(t *testing.T) {
	t.Parallel()
	if path := os.Getenv("PUSHGUARD_TEST_WRITE"); path != "" {
		r, err := record.Open(path, full().Run, record.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 1 << 30 {
			r.Run.Attempt = 100 + i
			if err := r.Save(); err != nil {
				t.Fatal(err)
			}
			_, _ = t.Output().Write([]byte{'\n'}) // a write is done
		}
	}
	path := saved(t, full())
	for i := range 10 {
		writer := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSave_killed$", "-test.v")
		writer.Env = append(os.Environ(), "PUSHGUARD_TEST_WRITE="+path)
		out, err := writer.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := writer.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 100+i)); err != nil {
			t.Fatal(err)
		}
		_ = writer.Process.Kill()
		_ = writer.Wait()
		r, err := record.Open(path, record.Run{}, record.Options{AnyRun: true, MustExist: true})
		if err != nil || r.Run.Attempt < 100 {
			t.Fatalf("after kill %d: %+v, %v", i, r, err)
		}
	}
}

func TestRunFromEnv(t *testing.T) {
	t.Parallel()
	env := func(vars map[string]string) func(string) string {
		return func(name string) string { return vars[name] }
	}
	for name, test := range map[string]struct {
		vars map[string]string
		want record.Run
	}{
		"a shell": {nil, record.Run{}},
		"a call": {
			map[string]string{"GITHUB_RUN_ID": "1234", "PUSHGUARD_CALL": "api"},
			record.Run{ID: "1234", Call: "api"},
		},
		"GitHub": {
			map[string]string{"GITHUB_RUN_ID": "1234", "GITHUB_RUN_ATTEMPT": "2", "GITHUB_REPOSITORY": "org/app", "GITHUB_SHA": "abc", "GITHUB_SERVER_URL": "https://github.com"},
			record.Run{ID: "1234", Attempt: 2, Repository: "org/app", SHA: "abc", URL: "https://github.com/org/app/actions/runs/1234"},
		},
		"GitLab": {
			map[string]string{"CI_PIPELINE_ID": "77", "CI_PROJECT_PATH": "g/p", "CI_COMMIT_SHA": "abc", "CI_PIPELINE_URL": "https://gitlab.com/g/p/-/pipelines/77", "PUSHGUARD_CALL": "b"},
			record.Run{ID: "77", Repository: "g/p", SHA: "abc", URL: "https://gitlab.com/g/p/-/pipelines/77", Call: "b"},
		},
	} {
		if diff := cmp.Diff(test.want, record.RunFromEnv(env(test.vars)), ignoreUnknown); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func FuzzParse(f *testing.F) {
	data, err := json.Marshal(full())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"schema":"pushguard.record/v1","run":null,"tags":null,"x":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := record.Parse(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		again, err := record.Parse(written)
		if err != nil {
			t.Fatalf("%s -> %s: %v", data, written, err)
		}
		if diff := cmp.Diff(r, again, ignoreUnknown); diff != "" {
			t.Errorf("read, written, read (-first +second):\n%s", diff)
		}
	})
}
