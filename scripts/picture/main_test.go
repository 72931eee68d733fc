// Copyright 2026 The pushguard Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/xml"
	"errors"
	"html"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `Building.

1. Before the build: do the tags exist?

$ tagcheck 127.0.0.1:41/org/app:1 127.0.0.1:4242/org/app:1
REFERENCE             STATE   DIGEST
127.0.0.1:41/org/app:1    absent  -
127.0.0.1:4242/org/app:1  absent  -

2. <Sign>
get http://127.0.0.1:9/rekor

All steps went as told.
$ not shown
`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := read(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	want := []scene{
		{"1. Before the build: do the tags exist?", []string{
			"$ tagcheck docker.io/org/app:1 ghcr.io/org/app:1",
			"REFERENCE            STATE   DIGEST",
			"docker.io/org/app:1  absent  -",
			"ghcr.io/org/app:1    absent  -",
		}},
		{"2. <Sign>", []string{"get https://sigstore.example/rekor"}},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(scene{})); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	if _, err := read(strings.NewReader("nothing")); err == nil {
		t.Error("no step is no error")
	}
}

func TestDraw_isXML(t *testing.T) {
	t.Parallel()
	scenes, err := read(strings.NewReader(printed))
	if err != nil {
		t.Fatal(err)
	}
	for name, picture := range map[string]string{"light": draw(scenes, false, 0), "dark": draw(scenes, true, 0), "still": draw(scenes, false, 2)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for d := xml.NewDecoder(strings.NewReader(picture)); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					return
				} else if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

var title = regexp.MustCompile(`\{"([0-9]\. [^"]+)", func`)

// The pictures in docs/ show the steps that the demo has now.
func TestPictures_areOfThisDemo(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("../demo/chain.go")
	if err != nil {
		t.Fatal(err)
	}
	titles := title.FindAllStringSubmatch(string(source), -1)
	if len(titles) < 9 {
		t.Fatalf("%d steps found in the demo", len(titles))
	}
	for _, name := range []string{"../../docs/demo-light.svg", "../../docs/demo-dark.svg"} {
		picture, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range titles {
			if !strings.Contains(string(picture), html.EscapeString(m[1])) {
				t.Errorf("%s lacks the step %q: run \"make pictures\"", name, m[1])
			}
		}
	}
}
