// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package scripttest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// release DIR VERSION [IDENTITY [COMMIT]] puts a release into DIR, as GitHub serves it.
func release(ts *testscript.TestScript, _ bool, args []string) {
	version := args[1]
	identity := "https://github.com/LerianStudio/pushguard/.github/workflows/release.yml@refs/tags/v" + version
	if len(args) > 2 {
		identity = args[2]
	}
	commit := strings.Repeat("c", 40)
	if len(args) > 3 {
		commit = args[3]
	}
	archive := pack(ts, version)
	name := fmt.Sprintf("pushguard-commands_%s_%s_%s.tar.gz", version, runtime.GOOS, runtime.GOARCH)
	people := strings.Replace(name, "-commands", "", 1)
	checksums := fmt.Sprintf("%x  %s\n%x  %s\n", sha256.Sum256(archive), name, sha256.Sum256(nil), people)
	for _, folder := range []string{"latest/download", "download/v" + version} {
		dir := filepath.Join(ts.MkAbs(args[0]), folder)
		ts.Check(os.MkdirAll(dir, 0o755))
		for file, content := range map[string]string{
			name: string(archive), "checksums.txt": checksums,
			"checksums.txt.sigstore.json": fmt.Sprintf("%s %s %x\n", identity, commit, sha256.Sum256([]byte(checksums))),
			"pushguard.intoto.jsonl":      "{}\n",
		} {
			ts.Check(os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
		}
	}
	ts.Setenv("ARCHIVE", name)
}

func pack(ts *testscript.TestScript, version string) []byte {
	var archive bytes.Buffer
	zipped := gzip.NewWriter(&archive)
	files := tar.NewWriter(zipped)
	for _, name := range []string{"LICENSE", "tagcheck", "signretry", "regcleanup"} {
		text := "#!/bin/sh\necho " + name + " " + version + "\n"
		ts.Check(files.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))}))
		_, err := files.Write([]byte(text))
		ts.Check(err)
	}
	ts.Check(files.Close())
	ts.Check(zipped.Close())
	return archive.Bytes()
}

// serve DIR [truncate|hang] serves DIR at $PUSHGUARD_RELEASES, archives with a fault.
func serve(ts *testscript.TestScript, _ bool, args []string) {
	files := http.FileServer(http.Dir(ts.MkAbs(args[0])))
	fault := ""
	if len(args) > 1 {
		fault = args[1]
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault == "" || !strings.HasSuffix(r.URL.Path, ".tar.gz") {
			files.ServeHTTP(w, r)
			return
		}
		data, err := os.ReadFile(filepath.Join(ts.MkAbs(args[0]), r.URL.Path))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
		if fault == "hang" {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}))
	ts.Defer(server.Close)
	ts.Setenv("PUSHGUARD_RELEASES", server.URL)
}

// unset NAME... takes variables out of the environment of what runs next.
func unset(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Setenv(name, "")
	}
}

// sameOutput FILE wants stdout to be the file, and empties it for the next.
func sameOutput(ts *testscript.TestScript, _ bool, args []string) {
	if got, want := ts.ReadFile("stdout"), ts.ReadFile(args[0]); got != want {
		ts.Fatalf("stdout is\n%swant\n%s", got, want)
	}
}
